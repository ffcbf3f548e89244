import type {
  Fact,
  Finding,
  RuleSummary,
  RunSummary,
  TraceFailure,
  TraceSummary,
  VcpuSummary,
  WitnessEvent,
} from '../../src/check/facts.js';

/** Hand-made facts for the reporters' tests: a violated trace of a 6.1 kernel, to be varied by overrides. */

export const vcpu: VcpuSummary = {
  vm: 0,
  id: 0,
  pid: 589,
  comm: 'CPU 0/KVM',
  vmCertainty: 'assumed',
  knownSince: '177.107077000',
  events: 640,
};

export function witness(overrides: Partial<WitnessEvent> = {}): WitnessEvent {
  return {
    time: '177.119605000',
    cpu: 0,
    pid: 589,
    comm: 'CPU 0/KVM',
    position: { line: 19 },
    event: 'save',
    text: 'kvm_timer_save_state:    CTL: 0x000001 CVAL:             0x1000 arch_timer_ctx_index: 1',
    certainty: 'recorded',
    decisive: false,
    ...overrides,
  };
}

export function finding(overrides: Partial<Finding> = {}): Finding {
  return {
    rule: 'restore-equals-last-save',
    diagnosis: 'ctl-clobbered-by-irq',
    timer: 'vtimer',
    severity: 'error',
    vcpu: { vm: 0, id: 0, pid: 589, comm: 'CPU 0/KVM' },
    cpu: 0,
    time: '177.119720000',
    position: { line: 23 },
    message: 'the restored CTL is 0x0, but 0x1 had been saved',
    argument: {
      given: 'the save at 177.119605000 stored cntv_ctl 0x1, and an interrupt of the timer came after it',
      must: 'the next restore writes the saved cntv_ctl 0x1',
      but: 'it wrote 0x0',
      therefore: 'the interrupt handler overwrote the saved CTL: the timer stays off and the guest waits for ever',
    },
    bugs: [],
    witness: [
      witness(),
      witness({
        time: '177.119611000',
        position: { line: 20 },
        event: 'vtimer_irq',
        text: 'irq_handler_entry: irq=11 name=kvm guest vtimer',
      }),
      witness({
        time: '177.119720000',
        position: { line: 23 },
        event: 'restore',
        certainty: 'derived',
        text: 'kvm_timer_restore_state: CTL: 0x000000 CVAL:             0x1000 arch_timer_ctx_index: 1',
        decisive: true,
      }),
    ],
    before: { loaded: '0', cntv_ctl: '0x1', cntv_cval: '0x1000', cntvoff: '0x20' },
    after: { loaded: '1', cntv_ctl: '0x0', cntv_cval: '0x1000', cntvoff: '0x20' },
    fingerprint: '00c0ffee12345678',
    count: 1,
    occurrences: [{ time: '177.119720000', cpu: 0, pid: 589, position: { line: 23 } }],
    ...overrides,
  };
}

export function rule(overrides: Partial<RuleSummary> = {}): RuleSummary {
  return {
    status: 'held',
    severity: 'error',
    held: 12,
    violated: 0,
    undecided: 0,
    reasons: {},
    byVcpu: [{ held: 12, violated: 0, undecided: 0 }],
    ...overrides,
  };
}

export function trace(overrides: Partial<TraceSummary> = {}): TraceSummary {
  return {
    path: 'trace.txt',
    format: 'ftrace',
    kernel: '6.1.0',
    clock: 'local',
    model: { id: 'timer-map', candidates: ['timer-map'], reasons: ['get_timer_map printed no emul_vtimer at line 7'] },
    host: { id: 'nvhe', reasons: ['the timer map has an emulated physical timer'] },
    events: 12034,
    timerEvents: 812,
    cpus: 2,
    duration: '12.300000000',
    vcpus: [vcpu],
    vms: 1,
    verdict: 'violations',
    because: ['restore-equals-last-save was violated'],
    conditions: [
      {
        kind: 'vm-grouping-assumed',
        severity: 'info',
        sentence: 'which vcpus form a VM is assumed',
        count: 1,
        position: { line: 3 },
        details: {},
      },
    ],
    timing: {
      frequency: 62_500_000,
      source: 'inferred',
      counters: [
        {
          vcpu: { vm: 0, id: 0, pid: 1001, comm: 'CPU 0/KVM' },
          timer: 'vtimer',
          constraints: {
            armed: 185,
            fired: 170,
            raised: 210,
            lowered: 90,
            savedExpired: 73,
            savedPending: 270,
            foundExpired: 0,
            foundPending: 0,
          },
          least: '0xbc0a2e51',
          most: '0xbc0a35a4',
          width: 30_000,
          changes: 1,
          changed: [{ time: '180.083060336', position: { line: 977 }, by: -12_304_800 }],
        },
      ],
    },
    recording: {
      convertedFrom: null,
      version: null,
      compression: null,
      buffers: [],
      cpus: [{ cpu: 0, records: 12034, first: '177.083060336', last: '189.383060336', lost: 0 }],
      sources: [
        { name: 'kvm_entry', records: 800, use: 'used' },
        { name: 'kvm_mmio', records: 3, use: 'not used' },
      ],
      kinds: [{ kind: 'entry', events: 800 }],
      shown: ['entry', 'exit'],
      advice: {
        missing: [{ kinds: ['reset'], rules: ['reset-clears-timer'], source: 'kvm_timer_vcpu_reset', mayLack: false }],
        commands: ['trace-cmd record -e kvm -e timervet sleep 10'],
      },
    },
    rules: {
      'one-vcpu-per-cpu': rule(),
      'restore-equals-last-save': rule({
        status: 'violated',
        held: 40,
        violated: 1,
        undecided: 2,
        reasons: { 'nothing was saved before': 2 },
        byVcpu: [{ held: 40, violated: 1, undecided: 2 }],
      }),
      'reset-clears-timer': rule({
        status: 'not-exercised',
        severity: 'error',
        held: 0,
        byVcpu: [],
        reason: 'needs reset',
      }),
    },
    findings: [finding()],
    findingsOmitted: 0,
    ...overrides,
  };
}

/** A trace in which every rule held. */
export function cleanTrace(overrides: Partial<TraceSummary> = {}): TraceSummary {
  return trace({
    path: 'clean.txt',
    verdict: 'clean',
    because: [],
    conditions: [],
    rules: { 'one-vcpu-per-cpu': rule() },
    findings: [],
    ...overrides,
  });
}

export function run(traces: readonly TraceSummary[], failures: readonly TraceFailure[] = [], exitCode = 1): RunSummary {
  return { verdict: traces[0]?.verdict ?? 'inconclusive', exitCode, traces, failures, rules: {} };
}

/** The stream of facts of a run over these traces and unreadable inputs. */
export function facts(traces: readonly TraceSummary[], failures: readonly TraceFailure[] = [], exitCode = 1): Fact[] {
  return [
    ...traces.flatMap((summary): Fact[] => [
      { type: 'trace-start', path: summary.path, format: summary.format },
      { type: 'model', path: summary.path, model: summary.model, host: summary.host },
      ...summary.findings.map((item): Fact => ({ type: 'finding', path: summary.path, finding: item })),
      { type: 'trace-end', path: summary.path, summary },
    ]),
    ...failures.map((failure): Fact => ({ type: 'trace-failed', path: failure.path, failure })),
    { type: 'run-end', run: run(traces, failures, exitCode) },
  ];
}
