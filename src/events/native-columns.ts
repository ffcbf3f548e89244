import {
  Certainty,
  Context,
  certaintyNames,
  Register,
  registerNames,
  Timer,
  type TimerEvent,
  timerNames,
} from './event.js';
import { exceptionClasses, exceptionClassNames, exitCodeNames } from './exceptions.js';
import { Kind, type KindName, kindNames } from './kinds.js';
import * as values from './native-values.js';
import { formatU64 } from './u64.js';

/**
 * The native notation's columns (CSV) and keys (JSONL): one table, from which reading, writing, error
 * messages and the published schemas are made.
 */
interface Definition {
  readonly description: string;
  readonly type: values.ValueType;
  /** Stores what `type.read` gave. */
  set(event: TimerEvent, value: number): void;
  /** Stores "not known", for the cell `?`; absent where an event cannot be without the value. */
  forget?(event: TimerEvent): void;
  /** The cell that spells the event's value, undefined when it is not known. */
  get(event: TimerEvent): string | number | undefined;
}

type NumericField = {
  [Field in keyof TimerEvent]: TimerEvent[Field] extends number
    ? number extends TimerEvent[Field]
      ? Field
      : never
    : never;
}[keyof TimerEvent];

function number(
  field: NumericField,
  type: values.ValueType,
  description: string,
  spell: (value: number) => string | number = (value) => value,
  unknown = -1,
): Definition {
  return {
    description,
    type,
    set: (event, value) => {
      event[field] = value;
    },
    forget: (event) => {
      event[field] = unknown;
    },
    get: (event) => (event[field] === unknown ? undefined : spell(event[field])),
  };
}

const wideFields = {
  cval: ['cvalHi', 'cvalLo', 'hasCval'],
  value: ['valueHi', 'valueLo', 'hasValue'],
  pointer: ['vcpuPointerHi', 'vcpuPointerLo', 'hasVcpuPointer'],
  hrtimer: ['timerPointerHi', 'timerPointerLo', 'hasTimerPointer'],
} as const;

function wide(
  fields: readonly [NumericField, NumericField, 'hasCval' | 'hasValue' | 'hasVcpuPointer' | 'hasTimerPointer'],
  type: values.ValueType,
  description: string,
  spell: (hi: number, lo: number) => string,
): Definition {
  const [hi, lo, has] = fields;
  return {
    description,
    type,
    set: (event) => {
      event[hi] = values.halves.hi;
      event[lo] = values.halves.lo;
      event[has] = true;
    },
    forget: (event) => {
      event[hi] = 0;
      event[lo] = 0;
      event[has] = false;
    },
    get: (event) => (event[has] ? spell(event[hi], event[lo]) : undefined),
  };
}

const ignored = (description: string): Definition => ({
  description,
  type: values.remark,
  set: () => {},
  forget: () => {},
  get: () => undefined,
});

/**
 * Kernel names that stand for exactly one kind, so that a line of a recording can be copied by hand. Tracepoints
 * that need a further look (hrtimer_start, irq_handler_entry) are not among them: see `ambiguousNames`.
 */
export const kernelNames: Readonly<Record<string, KindName>> = {
  kvm_entry: 'entry',
  kvm_exit: 'exit',
  kvm_timer_save_state: 'save',
  kvm_timer_restore_state: 'restore',
  kvm_timer_update_irq: 'update_irq',
  vgic_update_irq_pending: 'vgic_inject',
  kvm_get_timer_map: 'timer_map',
  kvm_timer_emulate: 'emulate',
  kvm_timer_hrtimer_expire: 'soft_expire',
  kvm_wfx_arm64: 'wfx',
  kvm_vcpu_wakeup: 'halt_end',
  kvm_userspace_exit: 'userspace_exit',
  kvm_irq_line: 'irq_line',
  kvm_arm_setup_debug: 'vcpu_pointer',
  sched_waking: 'wakeup',
  sched_wakeup: 'wakeup',
  kvm_arch_vcpu_load: 'load',
  kvm_arch_vcpu_put: 'put',
  kvm_timer_vcpu_load: 'timer_load',
  kvm_timer_vcpu_put: 'timer_put',
  kvm_timer_schedule: 'schedule',
  kvm_timer_unschedule: 'unschedule',
  kvm_timer_enable: 'enable',
  kvm_timer_vcpu_reset: 'reset',
  kvm_timer_flush_hwstate: 'flush',
  kvm_timer_sync_hwstate: 'sync',
  kvm_timer_sync_user: 'sync',
  kvm_timer_sync_nested: 'sync',
  kvm_bg_timer_expire: 'bg_expire',
  kvm_hrtimer_expire: 'soft_expire',
  irq_set_irqchip_state: 'set_active',
  irq_set_vcpu_affinity: 'set_affinity',
};

/** Kernel names that stand for several kinds, and the kinds to choose from. */
export const ambiguousNames: Readonly<Record<string, readonly KindName[]>> = {
  hrtimer_start: ['bg_arm', 'soft_arm'],
  hrtimer_cancel: ['bg_cancel', 'soft_cancel'],
  hrtimer_expire_entry: ['bg_expire', 'soft_expire'],
  irq_handler_entry: ['vtimer_irq', 'irq_begin'],
  irq_handler_exit: ['vtimer_irq_end', 'irq_end'],
};

const numbered = (names: readonly string[]): Record<string, number> =>
  Object.fromEntries(names.map((name, index) => [name, index]));

const context = values.integer(
  -1,
  3,
  'a timer (vtimer, ptimer, hvtimer, hptimer), 0..3, or -1 or none for no context',
  {
    none: Timer.none,
    ...numbered(timerNames),
  },
);
const contextName = (value: number): string | number => (value === Timer.none ? -1 : (timerNames[value] ?? value));
const mapColumn = (field: NumericField, description: string): Definition =>
  number(field, context, description, (value) => value, Timer.unknown);

const int32 = 0x7fffffff;
const small = (max: number): values.ValueType => values.integer(0, max, `a number 0..${max}`);
const boolean = (field: NumericField, description: string): Definition => number(field, values.flag, description);

const definitions = {
  time: {
    description:
      "Time on the trace's clock: seconds with up to nine decimals, or a number with the suffix ns, us, ms or s. Default: 1 us after the row before; 0 in the first row.",
    type: values.time('s', 'seconds such as 812.402115, or a whole number of nanoseconds with a suffix such as 3.5us'),
    set: (event, value) => {
      event.time = value;
    },
    get: (event) => values.formatSeconds(event.time),
  },
  cpu: number('cpu', small(65535), "CPU that wrote the record. Default: that of the vcpu's row before, else 0."),
  vm: number('vm', small(65535), 'Number of the VM, where there are several. Default: 0 when a vcpu is given.'),
  vcpu: number('vcpuId', small(65535), 'vcpu id: the vcpu that the event is about.'),
  pid: number('pid', small(int32), 'Thread that was current. Default: 1000 + 100 * vm + vcpu when a vcpu is given.'),
  tgid: number('tgid', small(int32), 'Thread group (process) of that thread.'),
  event: {
    description: "The event's kind, or the kernel's name of the tracepoint or function where that is the same.",
    type: values.word(
      {
        ...Object.fromEntries(kindNames.map((name) => [name, Kind[name]])),
        ...Object.fromEntries(Object.entries(kernelNames).map(([name, kind]) => [name, Kind[kind]])),
      },
      'an event such as load, entry, save or vtimer_irq',
    ),
    set: (event, value) => {
      event.kind = value;
    },
    get: (event) => kindNames[event.kind],
  },
  timer: number(
    'timer',
    values.integer(-1, 3, 'vtimer, ptimer, hvtimer, hptimer, 0..3, or -1 for none', numbered(timerNames)),
    'Timer context; -1 for a trapped access to another register. Default: vtimer for save, restore, user_write and vtimer_irq; by the irq for set_active, mask_irq and set_affinity.',
    contextName,
    Timer.unknown,
  ),
  irq: number(
    'irq',
    small(int32),
    'Interrupt number: the guest INTID in update_irq, vgic_inject and irq_line, the host irq elsewhere. Default: 27, or 30 where the timer is ptimer.',
  ),
  level: boolean(
    'level',
    "Level of the line, what set_active, mask_irq, set_affinity or emulate (should_fire) say, for set_traps whether CNTHCTL_EL2 is set for the guest (1) or the host (0); of a probed function the virtual timer's level when it was entered.",
  ),
  ctl: number(
    'ctl',
    values.ctl,
    'CNTx_CTL (of a probed function: the copy in memory): a number, or the set bits: enable (1), imask (2), istatus (4), joined by |.',
  ),
  cval: wide(wideFields.cval, values.u64, 'CNTx_CVAL (of a probed function: the copy in memory).', formatU64),
  value: wide(
    wideFields.value,
    values.u64,
    'Register value, counter offset (of a probed function: that of its vcpu), or CNTHCTL_EL2 value.',
    formatU64,
  ),
  active_cleared_last: boolean(
    'activeCleared',
    'What a probed function found in active_cleared_last (4.14 and earlier): the last flush cleared the active state.',
  ),
  loaded: boolean(
    'loaded',
    'What a probed kvm_timer_vcpu_load or _put found in loaded (4.10 to 5.0): the timer is in hardware.',
  ),
  armed: boolean('armed', 'What a probed function found in timer->armed (4.10 and earlier): the hrtimer is armed.'),
  register: number(
    'register',
    values.word(numbered(registerNames), 'ctl, cval, cnt or tval'),
    'Timer register that is accessed.',
    (value) => registerNames[value] ?? value,
    Register.unknown,
  ),
  write: boolean('write', 'Whether a trapped access writes (1) or reads (0).'),
  wfe: boolean('level', 'Whether the guest executed WFE (1) or WFI (0).'),
  hrtimer: wide(wideFields.hrtimer, values.pointer, 'The struct hrtimer.', values.formatPointer),
  expires: number(
    'expires',
    values.time('ns', 'nanoseconds, or a whole number of them with a suffix such as 3.5us'),
    'CLOCK_MONOTONIC time in ns: the deadline of an armed hrtimer, the current time of an expiry.',
  ),
  monotonic: number(
    'monotonic',
    values.time('ns', 'nanoseconds, or a whole number of them with a suffix such as 3.5us'),
    "CLOCK_MONOTONIC time in ns at which an expiry was recorded, at the earliest: the host's own ticks tell it. Default: not known.",
  ),
  dv: mapColumn('directVtimer', 'Timer map: direct vtimer. Default: 1.'),
  dp: mapColumn(
    'directPtimer',
    'Timer map: direct ptimer. Default: whichever of dp and ep is missing is none; both missing: dp -1, ep 0 (nVHE).',
  ),
  ev: mapColumn('emulVtimer', 'Timer map: emulated vtimer. Default: not known (kernels before 6.4 do not print it).'),
  ep: mapColumn('emulPtimer', 'Timer map: emulated ptimer. Default: see dp.'),
  code: number(
    'exitCode',
    values.integer(0, int32, 'IRQ, SERROR, TRAP, IL or a number', numbered(exitCodeNames)),
    'Exit code of exit.',
    (value) => exitCodeNames[value] ?? value,
  ),
  ec: number(
    'exceptionClass',
    values.integer(0, 63, 'an exception class such as WFx, SYS64 or HVC64, or 0..63', exceptionClasses),
    'Exception class of exit.',
    (value) => exceptionClassNames.get(value) ?? value,
  ),
  next: number(
    'otherPid',
    small(int32),
    'Thread that is switched to or woken. Default for wakeup: the pid of the given vcpu.',
  ),
  state: number(
    'sleeping',
    values.threadState,
    'prev_state of sched_switch: whether the previous thread sleeps (S, D) or not (R).',
    (value) => (value === 0 ? 'R' : 'S'),
  ),
  count: number('lostCount', small(int32), 'Number of lost records. Default: not known.'),
  pointer: wide(wideFields.pointer, values.pointer, 'The struct kvm_vcpu.', values.formatPointer),
  context: number(
    'context',
    values.word({ task: Context.task, softirq: Context.softirq, hardirq: Context.hardirq }, 'task, softirq or hardirq'),
    'What the CPU was doing. Default: hardirq for the begin and end of handlers and expiries, else not known.',
    (value) => ['task', 'softirq', 'hardirq'][value] ?? value,
    Context.unknown,
  ),
  certainty: number(
    'certainty',
    values.word(numbered(certaintyNames), 'recorded, derived, approximate or unknown'),
    'How surely the event is known. Default: recorded.',
    (value) => certaintyNames[value] ?? value,
    Certainty.unknown,
  ),
  comm: ignored('Name of the thread: that of its first row counts, or else of its first entry.'),
  note: ignored('Remark, for the human reader.'),
} satisfies Record<string, Definition>;

/** Name of a column. */
export type ColumnName = keyof typeof definitions;

/** A column of the notation. */
export interface Column extends Definition {
  readonly name: ColumnName;
}

/** All columns, in the order in which they are written. */
export const columns: readonly Column[] = (Object.entries(definitions) as [ColumnName, Definition][]).map(
  ([name, definition]) => ({ name, ...definition }),
);

/** Index into `columns` by name. */
export const columnIndex: ReadonlyMap<string, number> = new Map(columns.map(({ name }, index) => [name, index]));

const common: readonly ColumnName[] = [
  ...([
    'time',
    'cpu',
    'vm',
    'vcpu',
    'pid',
    'tgid',
    'event',
    'pointer',
    'context',
    'certainty',
    'comm',
    'note',
  ] as const),
];

const line = ['irq', 'timer', 'level'] as const;
const hrtimer = ['timer', 'hrtimer', 'expires'] as const;
const expiry = [...hrtimer, 'monotonic'] as const;

/**
 * What matters of what a probe on a function of a vcpu may have fetched beside the vcpu: its counter offset, and the
 * virtual timer as it stood in memory when the function was entered.
 */
const fetched = ['value', 'ctl', 'cval', 'level', 'loaded', 'active_cleared_last', 'armed'] as const;

const columnsByKind: Partial<Record<KindName, readonly ColumnName[]>> = {
  load: fetched,
  put: fetched,
  timer_load: fetched,
  timer_put: fetched,
  schedule: fetched,
  unschedule: fetched,
  enable: fetched,
  reset: fetched,
  flush: fetched,
  sync: fetched,
  exit: ['code', 'ec'],
  save: ['timer', 'ctl', 'cval'],
  restore: ['timer', 'ctl', 'cval'],
  user_write: ['timer', 'register', 'value'],
  trapped_access: ['timer', 'register', 'write', 'value'],
  set_cntvoff: ['value'],
  set_cntpoff: ['value'],
  set_traps: ['value', 'level'],
  timer_map: ['dv', 'dp', 'ev', 'ep'],
  emulate: ['timer', 'level'],
  vtimer_irq: ['irq', 'timer'],
  vtimer_irq_end: ['irq', 'timer'],
  update_irq: [...line, 'ctl', 'cval'],
  vgic_inject: line,
  irq_line: ['irq', 'level'],
  set_active: line,
  mask_irq: line,
  set_affinity: line,
  bg_arm: hrtimer,
  bg_cancel: hrtimer,
  bg_expire: expiry,
  soft_arm: hrtimer,
  soft_cancel: hrtimer,
  soft_expire: expiry,
  timer_callback_end: hrtimer,
  expiry_work: hrtimer,
  wfx: ['wfe'],
  wakeup: ['next'],
  sched_switch: ['next', 'state'],
  irq_begin: ['irq'],
  irq_end: ['irq'],
  lost: ['count'],
};

/** What a kind cannot do without: of each inner list at least one column. */
export const requiredColumns: Partial<Record<KindName, readonly (readonly ColumnName[])[]>> = {
  update_irq: [['level']],
  vgic_inject: [['level']],
  irq_line: [['irq'], ['level']],
  set_active: [['level']],
  mask_irq: [['level']],
  set_affinity: [['level']],
  wakeup: [['next', 'vcpu']],
  lost: [['cpu']],
};

/** The columns that say something about the kind, beyond those that every event has. */
export function ownColumns(kind: KindName): readonly ColumnName[] {
  return columnsByKind[kind] ?? [];
}

/** The columns that an event of the kind may fill. */
export function allowedColumns(kind: KindName): readonly ColumnName[] {
  return [...common, ...ownColumns(kind)];
}
