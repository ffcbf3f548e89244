import { createReadStream, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { RuleCoverage, TraceSummary } from '../../src/check/facts.js';
import { check, openRandomAccess, openSource, rules } from '../../src/index.js';
import { countsOf, documentedCounts, folder, injected, present, recordings, textOf, traceCmd } from './reports.js';

/** Kernels with a real timer bug: their findings are right. */
const broken = injected();

/** Distance of the first finding from the nearest injection, seconds. */
const nearby = 0.03;

const unusable = /text-(nocontext|raw)\./;
const texts = [
  ...recordings(/^(4\.9|4\.14|5\.10|6\.1|7\.2)-.*\.txt$/).filter((file) => !unusable.test(file)),
  ...recordings(/^6\.1-.*\.log$/, 'console'),
];
/** Kernels before save and restore were traced, from the landed patch on; each with what it is known to do wrong. */
const loadPut = recordings(/^(4\.15|4\.19|5\.0)-.*\.dat$/);
/**
 * Stock kernels whose recordings show a real fault: vcpu 1's timer expires before vcpu 0 writes GICD_CTLR (kvm_mmio, gpa
 * 0x8000000), and it never enters the guest again until a signal ends KVM_RUN (specification §4.8, point 17).
 */
const livelocks = ['6.1-nvhe-lost.dat', '6.1-vhe-kp-mixed.dat', '6.1-vhe-lost.dat'];

const stock = [...recordings(/^(4\.9|4\.14|5\.10|6\.1|7\.2)-.*\.dat$/), ...recordings(/^clean-.*\.dat$/, 'broken')];
const binaries = stock.filter((file) => !livelocks.includes(basename(file)));

/** Known bugs of their time that recordings of stock kernels show, as information. */
const knownBugs: Readonly<Record<string, readonly string[]>> = {
  '4.19-nvhe-mixed.dat': ['935 dist-active-at-load/known-pending-inactive'],
  '4.19-nvhe-tickwfi.dat': ['431 dist-active-at-load/known-pending-inactive'],
  '4.19-vhe-busy.dat': ['32 dist-active-at-load/known-pending-inactive'],
  '5.0-nvhe-mixed.dat': ['814 dist-active-at-load/known-pending-inactive'],
  '5.0-nvhe-tickwfi.dat': ['406 dist-active-at-load/known-pending-inactive'],
  '5.0-vhe-busy.dat': ['4 dist-active-at-load/known-pending-inactive'],
  '5.10-nvhe-ptimer.dat': ['278 soft-timer-follows-emulated-context/known-armed-while-pending'],
  '6.1-nvhe-ptimer.dat': ['274 soft-timer-follows-emulated-context/known-armed-while-pending'],
};

/** Rules that these recordings cannot exercise, and why. */
const notExercised: Readonly<Record<string, string>> = {
  'traps-follow-world-nvhe': 'writes of CNTHCTL_EL2 leave no record: the hypervisor makes them, out of reach of probes',
  'vhe-traps-not-toggled': 'timer_set_traps is inlined: writes of CNTHCTL_EL2 leave no record',
  'affinity-forwarded-while-any-loaded': 'since 4.15 the flag is set once, at boot',
  'irq-masked-while-level-high': 'all guests have the interrupt controller in the kernel, all hosts an active state',
};

interface Exercise extends RuleCoverage {
  recordings: number;
}
const coverage = new Map<string, Exercise>();

async function checked(file: string): Promise<TraceSummary> {
  const path = textOf(file);
  let summary: TraceSummary | undefined;
  for await (const fact of check([{ path: file, open: () => createReadStream(path, { highWaterMark: 1 << 18 }) }])) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') summary = fact.summary;
  }
  for (const [id, { held, violated, undecided }] of Object.entries(summary!.rules)) {
    const sum = coverage.get(id) ?? { held: 0, violated: 0, undecided: 0, reasons: {}, recordings: 0 };
    coverage.set(id, sum);
    sum.held += held;
    sum.violated += violated;
    sum.undecided += undecided;
    if (held + violated > 0) sum.recordings++;
  }
  return summary!;
}

/** Kernels whose hypervisor saves and restores the timer around every entry. */
const isWorldSwitch = (file: string) => /^4\.(9|14)-/.test(basename(file));

function modelOf(file: string): string {
  if (/^4\.15-/.test(basename(file))) return 'load-put-4.15';
  if (/^4\.19-/.test(basename(file))) return 'load-put-4.16';
  if (/^5\.0-/.test(basename(file))) return 'load-put-5.0';
  if (isWorldSwitch(file)) return 'world-switch';
  return basename(file).startsWith('7.2-') ? 'stateless-level' : 'timer-map';
}

/** The kernels of `broken/` run at EL2; the console dump is of a host that does not. */
function hostOf(file: string): string | null {
  // Nothing that a kernel before 5.1 records of its timer depends on the exception level of the host.
  if (isWorldSwitch(file)) return null;
  if (file.startsWith('broken')) return 'vhe';
  return basename(file).includes('-vhe-') ? 'vhe' : 'nvhe';
}

/** Scenarios with two VMs of two vcpus, and those with one VM of four. */
function guestsOf(file: string): { vcpus: number; vms: number } {
  if (/kp-mixed|overcommit|wvms|perf-mixed/.test(file)) return { vcpus: 4, vms: 2 };
  if (/-ipi|(nvhe|vhe|gicv2)-mixed\.dat/.test(file)) return { vcpus: 4, vms: 1 };
  return { vcpus: 2, vms: 1 };
}

const gating = ({ findings }: TraceSummary) => findings.filter(({ severity }) => severity !== 'info');

function expectGuests(file: string, summary: TraceSummary): void {
  const counts = countsOf(readFileSync(textOf(file), 'latin1'));
  const { vcpus, vms } = guestsOf(file);
  expect({ events: summary.events, vcpus: summary.vcpus.length, vms: summary.vms }).toEqual({
    events: counts.events,
    vcpus,
    vms,
  });
  expect({ vcpus: counts.vcpus, vms: counts.vms }).toEqual({ vcpus, vms: Number.isNaN(counts.vms) ? counts.vms : vms });
  expect({ model: summary.model.id, host: summary.host.id }).toEqual({ model: modelOf(file), host: hostOf(file) });
  const lost = summary.conditions.find(({ kind }) => kind === 'lost-events')?.count ?? 0;
  // The tracer puts no mark into an overwritten buffer: there the gaps in time tell.
  if (file.includes('-overwritten.')) expect(lost).toBeGreaterThan(0);
  else expect(lost).toBe(counts.lost);
}

/** Recordings whose timers give bounds on one side only: no deadline of theirs was still to come when it was seen. */
const withoutFrequency = ['6.1-nvhe-past'];

/** Scenarios that sleep and wake all the time, with hrtimers recorded: each vcpu has equalities by the dozen. */
const sleeping = /(-tickwfi|-mixed|-overcommit|-wvms|-watch|-ipi|-short)[^/]*\.dat$/;
const withoutHrtimers = /(nvhe|vhe)-(kp|fn)-mixed|perf/;

/** The machine's counter runs at 62.5 MHz, and each trace must find that by itself, or nothing. */
function expectCounter(file: string, { timing, events, conditions }: TraceSummary): void {
  const lost = conditions.some(({ kind }) => kind === 'lost-events');
  // In a report of such a kernel the callbacks have no names, so that no arming of a background timer is told.
  if (isWorldSwitch(file)) {
    expect([null, 62_500_000]).toContain(timing.frequency);
    return;
  }
  const isLong = file.endsWith('.dat') && !lost && !withoutFrequency.includes(basename(file, '.dat'));
  if (isLong || timing.frequency !== null)
    expect({ events, frequency: timing.frequency }).toEqual({ events, frequency: 62_500_000 });
  if (isLong && sleeping.test(file) && !withoutHrtimers.test(file)) expectEqualities(file, timing);
}

/** Each vcpu that sleeps has shown when its deadlines are. */
function expectEqualities(file: string, timing: TraceSummary['timing']): void {
  const virtual = timing.counters.filter(({ timer }) => timer === 'vtimer');
  const rich = virtual.filter(({ constraints }) => constraints.armed >= 60 && constraints.fired >= 60);
  // In the ipi scenario some vcpus never set a timer.
  expect(rich.length).toBe(file.includes('-ipi') ? 2 : guestsOf(file).vcpus);
  for (const { width, constraints, changes } of rich) {
    expect(width).toBeLessThan(300_000);
    const { fired, raised, savedExpired, foundExpired } = constraints;
    expect(fired + raised + savedExpired + foundExpired).toBeGreaterThan(150);
    expect(constraints.lowered + constraints.savedPending + constraints.foundPending).toBeGreaterThan(80);
    expect(changes).toBe(0);
  }
}

/** Rules that every recording of the world switch must have held, whatever it recorded. */
const heldByEntries = ['entry-exit-alternate', 'no-put-in-guest'];
/** Those that need puts: where no probe shows them, a way through userspace beside the switches. */
const heldByPuts = ['one-cpu-per-vcpu', 'one-vcpu-per-cpu'];
const heldByLevels = ['level-alternates', 'vgic-follows-level', 'timer-identity-consistent'];
const heldByProbes = [
  ...['load-put-alternate', 'entry-only-when-loaded', 'restore-equals-last-save', 'ctl-bits-valid'],
  ...['level-true-only-if-can-fire', 'level-true-only-if-expired', 'level-lowered-at-sync'],
  ...['dist-active-at-load', 'flush-entry-sync-order'],
];

/**
 * What a recording of the world switch has records for. In reports of 4.9's trace.dat the callbacks have no names, so
 * that its hrtimers are nobody's.
 */
function earned(file: string, direct: boolean): string[] {
  const probes = /-(kp|text|overwritten)[-.]/.test(file);
  const irqs = !/-(kp-mixed|fn-mixed)\./.test(file) && !/4\.14-nvhe-kp/.test(file);
  const named = direct || !/^4\.9-.*\.dat$/.test(file);
  return [
    ...[...heldByEntries, ...heldByLevels],
    ...(probes || !/-(tickwfi|lost)\./.test(file) ? heldByPuts : []),
    ...(irqs ? ['irq-only-when-loaded'] : []),
    ...(irqs && named ? ['bg-armed-only-when-blocked', 'bg-not-armed-in-guest'] : []),
    ...(probes ? heldByProbes : []),
  ];
}

/** Every vcpu has its share: a rule that holds for one and is never asked for another has not been earned. */
function expectEarned(file: string, summary: TraceSummary): void {
  const heldByAll = Object.entries(summary.rules).filter(([, { byVcpu }]) => byVcpu.every(({ held }) => held > 0));
  const wanted = earned(file, summary.format === 'trace-dat');
  // A short cut of text has no occasion for each vcpu.
  const some = Object.entries(summary.rules).filter(([, { held }]) => held > 0);
  expect(some.map(([id]) => id)).toEqual(expect.arrayContaining(wanted));
  if (file.endsWith('.dat') && !/-lost\./.test(file))
    expect(heldByAll.map(([id]) => id)).toEqual(expect.arrayContaining(wanted.filter((id) => !rare.includes(id))));
}

/** What needs a chance to show: that an exit later than the report finds the same deadline. */
const rare = ['level-true-only-if-expired'];

function expectClean(file: string, summary: TraceSummary): void {
  expectGuests(file, summary);
  expectCounter(file, summary);
  expect(gating(summary)).toEqual([]);
  const infos = summary.findings.map(({ count, rule, diagnosis }) => `${count} ${rule}/${diagnosis}`);
  expect(infos.filter((info) => info.includes('/known-'))).toEqual(knownBugs[basename(file)] ?? []);
  const lost = summary.conditions.some(({ kind }) => kind === 'lost-events');
  expect(summary.verdict).toBe(lost ? 'inconclusive' : 'clean');
  const strange = summary.conditions.filter(({ severity }) => severity === 'warning');
  expect(strange.map(({ kind, count }) => `${count} ${kind}`)).toEqual([]);
  if (isWorldSwitch(file)) expectEarned(file, summary);
}

describe('recordings of real kernels', () => {
  it('are there', ({ skip }) => {
    skip(!present, `no recordings in ${folder}: set TIMERVET_RECORDINGS to check them`);
    expect(texts.length).toBeGreaterThan(0);
    expect(binaries.length).toBeGreaterThan(0);
  });

  it('can be reported by trace-cmd', ({ skip }) => {
    skip(!present, 'no recordings');
    // Nobody reads the skipped tests of a CI run.
    if (process.env.CI !== undefined) expect(traceCmd, 'trace-cmd is not installed').toBe(true);
    skip(!traceCmd, 'trace-cmd is not installed: the .dat recordings are not checked');
  });

  it.each(texts)('%s is clean', async (file) => {
    expectClean(file, await checked(file));
  });

  it.each(binaries.filter(isWorldSwitch))('%s is clean, read as it is', async (file) => {
    const path = join(folder, file);
    const input = { path, open: () => openSource(path), openFile: () => openRandomAccess(path) };
    for await (const fact of check([input])) {
      if (fact.type !== 'trace-end') continue;
      const { summary } = fact;
      const lost = summary.conditions.some(({ kind }) => kind === 'lost-events');
      expect(summary.verdict).toBe(lost ? 'inconclusive' : 'clean');
      expect(summary.findings).toEqual([]);
      expect(summary.events).toBe(documentedCounts().get(file)!.events);
      expect(summary.vcpus.length).toBe(guestsOf(file).vcpus);
      expect({ vms: summary.vms, model: summary.model.id }).toEqual({ vms: guestsOf(file).vms, model: 'world-switch' });
      expectEarned(file, summary);
      // Up to 5.0 no tracepoint shows a deadline: probes do, if they fetch the registers.
      const { timing } = summary;
      expect({ file, frequency: timing.frequency }).toEqual({ file, frequency: /-kp-/.test(file) ? 62_500_000 : null });
      if (timing.frequency === null) expect(timing.counters).toEqual([]);
      else if (sleeping.test(file) && !withoutHrtimers.test(file)) expectEqualities(file, timing);
    }
    expect.hasAssertions();
  });

  it.skipIf(!traceCmd).each(binaries)('%s is clean', async (file) => {
    const summary = await checked(file);
    expectClean(file, summary);
    const documented = documentedCounts().get(file);
    if (!file.startsWith('broken')) expect(summary.events).toBe(documented!.events);
  });
});

describe.skipIf(!traceCmd || !present)('kernels of 4.15 to 5.0', () => {
  const known = ({ findings }: TraceSummary) => findings.map((finding) => `${finding.rule} ${finding.diagnosis}`);

  it.each(loadPut.filter((file) => !file.includes('cntvoff')))('%s is clean but for its known bugs', async (file) => {
    const summary = await checked(file);
    expectClean(file, summary);
    // bae561c0cff7: from 4.16 to 5.2 a load leaves the interrupt of an expired timer inactive.
    const bugs = basename(file).startsWith('4.15-') ? [] : ['dist-active-at-load known-pending-inactive'];
    expect(known(summary)).toEqual(bugs);
    // Earned: what these kernels are about was decided, not passed over.
    const decided = Object.values(summary.rules).filter(({ held }) => held > 0);
    expect(decided.length).toBeGreaterThan(20);
  });

  it.each(loadPut.filter((file) => file.includes('4.15') && file.includes('cntvoff')))(
    '%s loses what userspace writes',
    async (file) => {
      const summary = await checked(file);
      expectGuests(file, summary);
      expect(summary.verdict).toBe('violations');
      expect(known(summary)).toEqual(['user-write-survives lost']);
      const { held, violated, undecided } = summary.rules['user-write-survives']!;
      // Of four writes in a round two are lost, CTL 0 and CVAL; CTL 1 is what the timer had, and CNT is the VM's. One
      // CPU sleeps for most of the recording, so that losses of its records cannot be excluded for all of them. The level
      // is low behind each CTL 0, lost or not.
      expect({ held, lost: violated + undecided }).toEqual({ held: 2 * 57, lost: 114 });
      expect(violated).toBeGreaterThan(50);
    },
  );
});

describe.skipIf(!traceCmd || !present)('a livelock of a stock kernel', () => {
  it.each(stock.filter((file) => livelocks.includes(basename(file))))('%s', async (file) => {
    const summary = await checked(file);
    expectGuests(file, summary);
    const [livelock, ...others] = gating(summary);
    expect(others).toEqual([]);
    expect(livelock).toMatchObject({ rule: 'asserted-level-reaches-guest', diagnosis: 'livelock', vcpu: { id: 1 } });
    // One finding however long it lasts, whose witness shows one round: load, report, sleep, put, and the next load.
    expect(livelock!.episodes?.count).toBe(1);
    expect(livelock!.count).toBeGreaterThan(200);
    const loop = livelock!.witness.map(({ event }) => event);
    expect(loop.slice(0, 5)).toEqual(['update_irq', 'load', 'update_irq', 'sched_switch', 'put']);
    expect(loop.at(-1)).toBe('load');
  });
});

describe.skipIf(!traceCmd || !present)('kernels with a real bug', () => {
  it.each(broken)('$file: $expected', async ({ file, expected, times }) => {
    const summary = await checked(file);
    expectGuests(file, summary);
    expectCounter(file, summary);
    const named = rules.map(({ id }) => id).filter((id) => expected.includes(id));
    const first = rules.map(({ id }) => id).filter((id) => expected.startsWith(id));
    const found = gating(summary);
    expect(summary.verdict).toBe('violations');
    expect(found[0]!.rule).toBe(first[0]);
    expect(named).toEqual(expect.arrayContaining(found.map(({ rule }) => rule)));
    for (const { occurrences } of found.filter(({ rule }) => rule === first[0])) {
      for (const { time } of occurrences) {
        expect(Math.min(...times.map((injection) => Math.abs(injection - Number(time))))).toBeLessThan(nearby);
      }
    }
  });
});

describe.skipIf(!present || !traceCmd)('every rule', () => {
  const ids = rules.map(({ id }) => id);

  it('that is said not to be exercised exists', () => {
    expect(ids).toEqual(expect.arrayContaining(Object.keys(notExercised)));
  });

  it.each(ids)('%s is exercised by a recording, or there is a reason why not', (id) => {
    const { held, violated } = coverage.get(id) ?? { held: 0, violated: 0 };
    if (id in notExercised) expect({ held, violated }).toEqual({ held: 0, violated: 0 });
    else expect(held + violated).toBeGreaterThan(0);
  });

  afterAll(() => {
    const columns = (cells: readonly (string | number)[]) =>
      cells.map((cell, index) => (index === 0 ? String(cell).padEnd(37) : String(cell).padStart(10))).join(' ');
    const lines = ids.map((id) => {
      const {
        held,
        violated,
        undecided,
        recordings: count,
      } = coverage.get(id) ?? {
        held: 0,
        violated: 0,
        undecided: 0,
        recordings: 0,
      };
      return columns([id, held, violated, undecided, count]) + (id in notExercised ? `  ${notExercised[id]}` : '');
    });
    process.stdout.write(
      `\n${[columns(['rule', 'held', 'violated', 'undecided', 'recordings']), ...lines].join('\n')}\n`,
    );
  });
});
