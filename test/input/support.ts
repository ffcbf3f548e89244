import { type Catalogue, type EventSpec, type FieldSpec, notWanted } from '../../src/input/catalogue.js';
import { createTextReader, type Format } from '../../src/input/index.js';
import type { CpuRecords, Reader, Record, RecordingFacts, RecordSink } from '../../src/input/record.js';

const number = (name: string, ...labels: string[]): FieldSpec => ({ name, type: 'number', labels });
const required = (name: string, ...labels: string[]): FieldSpec => ({ name, type: 'number', labels, required: true });
const pointer = (name: string, ...labels: string[]): FieldSpec => ({ name, type: 'pointer', labels });
const timerFunction: FieldSpec = {
  name: 'function',
  type: 'symbol',
  symbols: { kvm_bg_timer_expire: 1, kvm_timer_expire: 2, kvm_hrtimer_expire: 3, kvm_phys_timer_expire: 4 },
  required: true,
};
const state = [
  required('ctl', 'CTL:'),
  required('cval', 'CVAL:'),
  required('timer_idx', 'arch_timer_ctx_index:'),
] as const;
const probeArguments = [
  pointer('vcpu'),
  ...['id', 'ctl', 'cval', 'off', 'level', 'cpu', 'irq', 'loaded'].map((name) => number(name)),
];

/** The events of specification §3.1 that the tests use, and the functions of the recordings' probes. */
export const events: readonly EventSpec[] = [
  { name: 'kvm_entry', fields: [pointer('vcpu_pc', 'PC:')] },
  {
    name: 'kvm_exit',
    fields: [
      {
        name: 'ret',
        type: 'symbol',
        before: ': HSR_EC:',
        labels: ['idx='],
        symbols: { IRQ: 0, SERROR: 1, TRAP: 2, IL: 3 },
        required: true,
      },
      required('esr_ec', 'HSR_EC:', 'exit_reason='),
    ],
  },
  {
    name: 'kvm_timer_update_irq',
    fields: [required('vcpu_id', 'VCPU:'), required('irq', 'IRQ'), required('level', 'level')],
  },
  {
    name: 'vgic_update_irq_pending',
    fields: [required('vcpu_id', 'VCPU:'), required('irq', 'IRQ'), required('level', 'level:')],
  },
  {
    name: 'kvm_get_timer_map',
    fields: [
      required('vcpu_id', 'VCPU:'),
      required('direct_vtimer', 'dv:'),
      required('direct_ptimer', 'dp:'),
      number('emul_vtimer', 'ev:'),
      required('emul_ptimer', 'ep:'),
    ],
  },
  { name: 'kvm_timer_save_state', fields: state },
  { name: 'kvm_timer_restore_state', fields: state },
  {
    name: 'kvm_timer_emulate',
    fields: [required('timer_idx', 'arch_timer_ctx_index:'), required('should_fire', 'should_fire:')],
  },
  { name: 'kvm_timer_hrtimer_expire', fields: [required('timer_idx', 'arch_timer_ctx_index:')] },
  {
    name: 'kvm_wfx_arm64',
    fields: [{ name: 'is_wfe', type: 'symbol', labels: ['guest executed wf'], symbols: { i: 0, e: 1 } }],
  },
  { name: 'kvm_vcpu_wakeup', fields: [required('ns', 'time')] },
  { name: 'kvm_arm_setup_debug', fields: [pointer('vcpu', 'vcpu:')] },
  {
    name: 'irq_handler_entry',
    fields: [
      required('irq'),
      {
        name: 'name',
        type: 'symbol',
        symbols: { 'kvm guest timer': 1, 'kvm guest vtimer': 1, 'kvm guest ptimer': 2, arch_timer: 3 },
        toEnd: true,
      },
    ],
  },
  { name: 'irq_handler_exit', fields: [required('irq')] },
  { name: 'hrtimer_start', fields: [pointer('hrtimer'), timerFunction, required('expires')] },
  { name: 'hrtimer_cancel', fields: [pointer('hrtimer')] },
  { name: 'hrtimer_expire_entry', fields: [pointer('hrtimer'), timerFunction, required('now')] },
  {
    name: 'sched_switch',
    shape: 'sched_switch',
    fields: [required('prev_pid'), required('next_pid'), number('prev_state')],
  },
  { name: 'sched_waking', fields: [required('pid'), number('target_cpu')] },
  { name: 'kvm_timer_vcpu_load', fields: probeArguments },
  { name: 'kvm_timer_vcpu_put', fields: probeArguments },
  { name: 'kvm_arch_vcpu_load', fields: probeArguments },
  { name: 'kvm_arch_vcpu_put', fields: probeArguments },
  { name: 'kvm_arch_timer_handler', fields: probeArguments },
];

const firstFunction = events.findIndex(({ name }) => name === 'kvm_timer_vcpu_load');
const aliases: { [name: string]: string } = {
  timer_load: 'kvm_timer_vcpu_load',
  timer_put: 'kvm_timer_vcpu_put',
  vcpu_load: 'kvm_arch_vcpu_load',
  vcpu_put: 'kvm_arch_vcpu_put',
  timer_handler: 'kvm_arch_timer_handler',
};

/** A catalogue of these events. */
export const catalogue: Catalogue = {
  events,
  tracepoint: (name) => {
    const index = events.findIndex((event) => event.name === name);
    return index < firstFunction ? index : notWanted;
  },
  functionEntry: (name) => {
    const index = events.findIndex((event) => event.name === name.replace(/\.(isra|constprop|cfi).*/, ''));
    return index >= firstFunction ? index : notWanted;
  },
  probeAlias: (name) => events.findIndex((event) => event.name === aliases[name]),
};

/** A condition as a sink got it. */
export interface SeenCondition {
  kind: string;
  count: number;
  position: number;
  detail?: string;
}

/** Keeps everything a reader delivers, records as readable text. */
export class Collector implements RecordSink {
  readonly records: string[] = [];
  readonly conditions: SeenCondition[] = [];
  readonly notes: string[] = [];
  facts: RecordingFacts = {};
  cpuRecords: readonly CpuRecords[] = [];
  count = 0;

  record(record: Record): void {
    this.records.push(recordText(record));
  }
  counted(records: number): void {
    this.count += records;
  }
  repeated(event: number, records: number): void {
    this.notes.push(`${events[event]!.name}: ${records} more`);
  }
  lost(cpu: number, count: number, position: number): void {
    this.notes.push(`${position}: lost cpu=${cpu} count=${count}`);
  }
  cpuStarted(cpu: number, position: number): void {
    this.notes.push(`${position}: started cpu=${cpu}`);
  }
  fact({ cpuRecords, ...facts }: RecordingFacts): void {
    this.cpuRecords = cpuRecords ?? this.cpuRecords;
    this.facts = { ...this.facts, ...facts };
  }
  discontinuity(position: number): void {
    this.notes.push(`${position}: discontinuity`);
  }
  condition(kind: string, count: number, position: number, detail?: string): void {
    this.conditions.push({ kind, count, position, ...(detail === undefined ? {} : { detail }) });
  }

  /** The conditions of one kind as `count detail`. */
  of(kind: string): string[] {
    return this.conditions.filter((c) => c.kind === kind).map((c) => [c.count, c.detail].join(' ').trim());
  }
}

/** A record as one line: position, columns, event, fields. 64-bit values are signed, pointers hexadecimal. */
export function recordText(record: Record): string {
  const spec = events[record.event]!;
  const columns = [
    `${record.position}:`,
    `${record.comm()}-${record.pid}`,
    ...(record.tgid >= 0 ? [`(${record.tgid})`] : []),
    `[${record.cpu}]`,
    record.context < 0 ? '?' : ['task', 'softirq', 'hardirq'][record.context],
    `${record.time}:`,
    spec.name + (record.isReturn ? '%return' : ''),
    ...(record.source === 'tracepoint' ? [] : [`(${record.source})`]),
  ];
  const fields = spec.fields.flatMap(({ name, type }, index) => {
    if (!record.has(index)) return [];
    const value = BigInt.asUintN(
      64,
      (BigInt(record.high(index)) << 32n) | BigInt.asUintN(32, BigInt(record.low(index))),
    );
    return [`${name}=${type === 'pointer' ? value.toString(16) : BigInt.asIntN(64, value)}`];
  });
  return [...columns, ...fields].join(' ');
}

/** Feeds a whole text to a reader, in pieces of `size` bytes. */
export function feed(reader: Reader, text: string | Uint8Array, size = Number.POSITIVE_INFINITY): void {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  // One buffer for all pieces, overwritten each time: a reader may not keep what it was given.
  const piece = new Uint8Array(Math.min(size, Math.max(1, bytes.length)));
  for (let at = 0; at < bytes.length; at += piece.length) {
    const part = bytes.subarray(at, at + piece.length);
    piece.fill(0);
    piece.set(part);
    reader.push(piece.subarray(0, part.length));
  }
  reader.end();
}

/** Reads a text with one of the text readers. */
export function readText(format: Format, text: string | Uint8Array, size?: number): Collector {
  const collector = new Collector();
  feed(createTextReader(format, catalogue, collector), text, size);
  return collector;
}

/** Everything a reader delivered, to compare or to keep as an expectation. */
export function report(collector: Collector): string {
  const conditions = collector.conditions
    .filter(({ kind }) => kind !== 'unused-event')
    .map(({ kind, count, position, detail }) => [`${position}: ${kind} ${count}`, detail].join(' ').trimEnd());
  const unused = collector.of('unused-event').reduce((sum, text) => sum + Number.parseInt(text, 10), 0);
  return [
    `events ${collector.count}, delivered ${collector.records.length}, unused ${unused}`,
    `facts ${JSON.stringify(collector.facts, (_, value) => (typeof value === 'bigint' ? String(value) : value))}`,
    ...collector.records,
    ...collector.notes,
    ...conditions,
    '',
  ].join('\n');
}
