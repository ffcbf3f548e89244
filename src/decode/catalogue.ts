import type { KindName } from '../events/kinds.js';
import { type Catalogue, type EventSpec, type FieldSpec, notWanted } from '../input/catalogue.js';

/**
 * A trap as text prints it: by its number on 4.9 to 4.19, whose table has no name for it, later by name (specification
 * §3.1).
 */
export const PrintedTrap = { number: 0x102, name: 0x202 } as const;

/** Exit codes of kvm_exit (ARM_EXCEPTION_*). */
const exitCodes = {
  IRQ: 0,
  SERROR: 1,
  EL1_SERROR: 1,
  TRAP: PrintedTrap.name,
  '0x2': PrintedTrap.number,
  IL: 3,
  HYP_GONE: 4,
} as const;

/** Names of the guest timers' PPI handlers, in `irq_handler_entry` (specification §3.2). */
export const IrqName = { guestTimer: 1, guestVtimer: 2, guestPtimer: 3, archTimer: 4 } as const;
const irqNames = {
  arch_timer: IrqName.archTimer,
  'kvm guest timer': IrqName.guestTimer,
  'kvm guest vtimer': IrqName.guestVtimer,
  'kvm guest ptimer': IrqName.guestPtimer,
} as const;

/** hrtimer callbacks of the timer code by generation (specification §3.4), and one that runs by CLOCK_MONOTONIC too. */
export const Callback = { background: 1, soft: 2, worldSwitch: 3, physical: 4, tick: 5 } as const;
const callbacks = {
  kvm_bg_timer_expire: Callback.background,
  kvm_hrtimer_expire: Callback.soft,
  kvm_timer_expire: Callback.worldSwitch,
  kvm_phys_timer_expire: Callback.physical,
  // The host's tick: its name before 6.8, and since.
  tick_sched_timer: Callback.tick,
  tick_nohz_handler: Callback.tick,
} as const;

/** Timer registers as kvm_sys_access names them: context in the upper, register in the lower byte. */
const accessed: Record<string, number> = {};
for (const [prefix, timer] of [
  ['CNTP', 0],
  ['CNTV', 1],
  ['CNTHV', 2],
  ['CNTHP', 3],
] as const) {
  for (const [register, number] of [
    ['CTL', 0],
    ['CVAL', 1],
    ['TVAL', 3],
  ] as const) {
    for (const level of ['EL0', 'EL02', 'EL2'])
      for (const sys of ['', 'SYS_'])
        for (const aarch32 of ['', 'AARCH32_'])
          accessed[`${sys}${aarch32}${prefix}_${register}_${level}`] = (timer << 8) | number;
    accessed[`SYS_AARCH32_${prefix}_${register}`] = (timer << 8) | number;
  }
}

/**
 * The same registers as kvm_sys_access records them: Op0, Op1, CRn, CRm, Op2 (ARM ARM, D24.10; AArch32 without Op0,
 * whose 64-bit registers have only Op1 and CRm).
 */
const encoded: Record<string, number> = { '0,2,0,14,0': 1, '0,3,0,14,0': (1 << 8) | 1 };
for (const [timer, op1, crm] of [
  [0, 3, 2],
  [1, 3, 3],
  [0, 5, 2],
  [1, 5, 3],
  [2, 4, 3],
  [3, 4, 2],
] as const) {
  for (const [op2, register] of [
    [0, 3],
    [1, 0],
    [2, 1],
  ] as const)
    encoded[`3,${op1},14,${crm},${op2}`] = (timer << 8) | register;
}
for (const [timer, crm] of [
  [0, 2],
  [1, 3],
] as const) {
  encoded[`0,0,14,${crm},0`] = (timer << 8) | 3;
  encoded[`0,0,14,${crm},1`] = timer << 8;
}
/** Marks a register that is told by its encoding, which trace-cmd and perf print where they do not find the name. */
export const byEncoding = 0x10000;

const printed = Object.fromEntries(
  Object.entries(encoded).map(([encoding, register]) => {
    const [op0, op1, crn, crm, op2] = encoding.split(',');
    return [`${op0} Op1=${op1} CRn=${crn} CRm=${crm} Op2=${op2}`, byEncoding | register];
  }),
);

const encoding = { names: ['Op0', 'Op1', 'CRn', 'CRm', 'Op2'], values: encoded } as const;

const number = (name: string, ...labels: string[]): FieldSpec => ({ name, type: 'number', labels });
const required = (name: string, ...labels: string[]): FieldSpec => ({ name, type: 'number', labels, required: true });
const pointer = (name: string, ...labels: string[]): FieldSpec => ({ name, type: 'pointer', labels });

// The arguments that users give a probe on a function of `struct kvm_vcpu *`: the names that tools and
// habits make. A kprobe without names prints arg1, arg2, …
const vcpuArgument = pointer('vcpu', 'arg1=', 'v=', 'kvm_vcpu=');
const vcpuIdArgument = number('id', 'vcpu_id=', 'vcpuid=');
const ctlArgument = number('ctl', 'cntv_ctl=', 'CTL=');
const cvalArgument = number('cval', 'cntv_cval=', 'CVAL=');
const offsetArgument = number('off', 'offset=', 'cntvoff=', 'voffset=');

/** Fields of every probed function that takes a vcpu; the order is that of `VcpuProbe`. */
const vcpuProbe: readonly FieldSpec[] = [
  ...[vcpuArgument, vcpuIdArgument, ctlArgument, cvalArgument, offsetArgument],
  ...[number('level', 'irq_level='), number('acl', 'active_cleared_last='), number('armed')],
];

/** Field indices of a probe on a function that takes a vcpu; `own` is the first of its other arguments. */
export const VcpuProbe = {
  vcpu: 0,
  id: 1,
  ctl: 2,
  cval: 3,
  offset: 4,
  level: 5,
  cleared: 6,
  armed: 7,
  own: 8,
} as const;

/** Fields of a probe on a function that saves or restores, which does nothing unless loaded, or not loaded. */
const registerProbe: readonly FieldSpec[] = [...vcpuProbe, number('loaded'), number('enabled')];

/** Field indices that `registerProbe` adds to those of `VcpuProbe`. */
export const RegisterProbe = { loaded: VcpuProbe.own, enabled: VcpuProbe.own + 1 } as const;

const timerState: readonly FieldSpec[] = [
  required('ctl', 'CTL:'),
  required('cval', 'CVAL:'),
  required('timer_idx', 'arch_timer_ctx_index:'),
];

const tracepoints = [
  { name: 'kvm_entry', fields: [] },
  {
    name: 'kvm_exit',
    fields: [
      { name: 'ret', type: 'symbol', before: ': HSR_EC:', symbols: exitCodes, labels: ['idx='] },
      number('esr_ec', 'HSR_EC:', 'exit_reason='),
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
  { name: 'kvm_timer_save_state', fields: timerState },
  { name: 'kvm_timer_restore_state', fields: timerState },
  { name: 'kvm_timer_hrtimer_expire', fields: [required('timer_idx', 'arch_timer_ctx_index:')] },
  {
    name: 'kvm_timer_emulate',
    fields: [required('timer_idx', 'arch_timer_ctx_index:'), number('should_fire', 'should_fire:')],
  },
  {
    name: 'kvm_wfx_arm64',
    // trace-cmd prints `wf>c<` where the kernel prints the letter: then it is not known which of the two.
    fields: [{ name: 'is_wfe', type: 'symbol', labels: ['guest executed '], symbols: { wfi: 0, wfe: 1 } }],
  },
  {
    name: 'kvm_vcpu_wakeup',
    fields: [{ name: 'waited', type: 'symbol', before: ' time', symbols: { wait: 1, poll: 0 } }],
  },
  { name: 'kvm_userspace_exit', fields: [] },
  { name: 'kvm_irq_line', fields: [required('irq_num', 'num:', 'irq='), required('level', 'level:')] },
  { name: 'kvm_arm_setup_debug', fields: [], once: true },
  {
    name: 'kvm_sys_access',
    fields: [
      { name: 'name', type: 'symbol', before: ' (', symbols: accessed, parts: encoding },
      number('is_write'),
      { name: 'Op0', type: 'symbol', toEnd: true, symbols: printed },
    ],
  },
  {
    name: 'irq_handler_entry',
    fields: [required('irq'), { name: 'name', type: 'symbol', toEnd: true, symbols: irqNames }],
  },
  { name: 'irq_handler_exit', fields: [required('irq')] },
  {
    name: 'hrtimer_start',
    fields: [pointer('hrtimer'), { name: 'function', type: 'symbol', symbols: callbacks }, number('expires')],
  },
  { name: 'hrtimer_cancel', fields: [pointer('hrtimer')] },
  {
    name: 'hrtimer_expire_entry',
    fields: [pointer('hrtimer'), { name: 'function', type: 'symbol', symbols: callbacks }, number('now')],
  },
  { name: 'hrtimer_expire_exit', fields: [pointer('hrtimer')] },
  {
    name: 'sched_switch',
    shape: 'sched_switch',
    // Without the next thread it still tells that the previous one was switched away.
    fields: [number('prev_pid'), { ...number('next_pid'), expected: true }, number('prev_state')],
  },
  { name: 'sched_waking', fields: [required('pid')] },
  { name: 'sched_wakeup', fields: [required('pid')] },
  // Evidence only: which of these a kernel has tells its generation (specification §3.3).
  { name: 'kvm_arm_clear_debug', fields: [], once: true },
  { name: 'kvm_arm_set_dreg32', fields: [], once: true },
  { name: 'kvm_guest_fault', fields: [], once: true },
  { name: 'kvm_halt_poll_ns', fields: [], once: true },
  { name: 'kvm_handle_sys_reg', fields: [], once: true },
  { name: 'kvm_nested_eret', fields: [], once: true },
] as const satisfies readonly EventSpec[];

/** kvm_timer_update_irq the function, which has the name of its tracepoint. */
const updateIrqEntry = 'kvm_timer_update_irq()';

const functions = [
  { name: 'kvm_arch_vcpu_load', fields: vcpuProbe },
  { name: 'kvm_arch_vcpu_put', fields: vcpuProbe },
  { name: 'kvm_timer_vcpu_load', fields: registerProbe },
  { name: 'kvm_timer_vcpu_put', fields: registerProbe },
  // Functions of the RFC; those of 5.1 and later take no vcpu, and have tracepoints.
  { name: 'timer_save_state', fields: registerProbe },
  { name: 'timer_restore_state', fields: registerProbe },
  { name: 'vtimer_save_state', fields: registerProbe },
  { name: 'vtimer_restore_state', fields: registerProbe },
  { name: 'kvm_timer_schedule', fields: vcpuProbe },
  { name: 'kvm_timer_unschedule', fields: vcpuProbe },
  { name: 'kvm_arch_vcpu_blocking', fields: vcpuProbe },
  { name: 'kvm_arch_vcpu_unblocking', fields: vcpuProbe },
  { name: 'kvm_timer_enable', fields: vcpuProbe },
  { name: 'kvm_timer_vcpu_reset', fields: vcpuProbe },
  { name: 'kvm_timer_flush_hwstate', fields: vcpuProbe },
  { name: 'kvm_timer_sync_hwstate', fields: vcpuProbe },
  { name: 'kvm_timer_sync_user', fields: vcpuProbe },
  { name: 'kvm_timer_sync_nested', fields: vcpuProbe },
  { name: 'kvm_vcpu_block', fields: vcpuProbe },
  { name: 'kvm_vcpu_halt', fields: vcpuProbe },
  { name: 'kvm_vcpu_wfi', fields: vcpuProbe },
  { name: 'kvm_vcpu_wake_up', fields: vcpuProbe },
  { name: 'kvm_vcpu_kick', fields: vcpuProbe },
  {
    name: 'kvm_arm_timer_write_sysreg',
    fields: [...vcpuProbe, number('tmr', 'timer=', 'arg2='), number('treg', 'reg=', 'arg3=')],
  },
  {
    name: 'kvm_arm_timer_read_sysreg',
    fields: [...vcpuProbe, number('tmr', 'timer=', 'arg2='), number('treg', 'reg=', 'arg3=')],
  },
  {
    name: 'kvm_arch_timer_handler',
    fields: [pointer('vcpu', 'kvm_vcpu='), number('id', 'vcpu_id='), number('irq', 'arg1=')],
  },
  {
    name: 'kvm_arm_timer_set_reg',
    fields: [...vcpuProbe, number('reg', 'regid=', 'arg2='), number('val', 'value=', 'arg3=')],
  },
  // The entry of the function that the tracepoint of the same name is in: it shows the registers that it was called for.
  { name: updateIrqEntry, fields: vcpuProbe },
  { name: 'kvm_timer_inject_irq_work', fields: [pointer('work', 'arg1=')] },
  { name: 'kvm_bg_timer_expire', fields: [pointer('hrt', 'arg1=', 'hrtimer=', 'timer=')] },
  { name: 'kvm_hrtimer_expire', fields: [pointer('hrt', 'arg1=', 'hrtimer=', 'timer=')] },
  { name: 'kvm_timer_expire', fields: [pointer('hrt', 'arg1=', 'hrtimer=', 'timer=')] },
  { name: 'irq_set_irqchip_state', fields: [number('irq', 'arg1='), number('which', 'arg2='), number('val', 'arg3=')] },
  { name: 'irq_set_vcpu_affinity', fields: [number('irq', 'arg1='), pointer('vcpu', 'arg2=', 'vcpu_info=')] },
  { name: 'enable_percpu_irq', fields: [number('irq', 'arg1=')] },
  { name: 'disable_percpu_irq', fields: [number('irq', 'arg1=')] },
  { name: 'enable_el1_phys_timer_access', fields: [] },
  { name: 'disable_el1_phys_timer_access', fields: [] },
  {
    name: '__kvm_timer_set_cntvoff',
    fields: [number('off', 'arg1=', 'offset=', 'cntvoff=', 'val='), pointer('vcpu', 'kvm_vcpu=')],
  },
] as const satisfies readonly EventSpec[];

/**
 * Short names that people give to probes on these functions: the only sign of the function where a report shows
 * nothing but its address. The function's own name inside the event name (`p_kvm_arch_vcpu_load_0`) is found
 * without this table.
 */
const aliases: Record<string, (typeof functions)[number]['name']> = {
  vcpu_load: 'kvm_arch_vcpu_load',
  arch_vcpu_load: 'kvm_arch_vcpu_load',
  p_load: 'kvm_arch_vcpu_load',
  vcpu_put: 'kvm_arch_vcpu_put',
  arch_vcpu_put: 'kvm_arch_vcpu_put',
  p_put: 'kvm_arch_vcpu_put',
  timer_load: 'kvm_timer_vcpu_load',
  timer_vcpu_load: 'kvm_timer_vcpu_load',
  f_timer_load: 'kvm_timer_vcpu_load',
  timer_put: 'kvm_timer_vcpu_put',
  timer_vcpu_put: 'kvm_timer_vcpu_put',
  f_timer_put: 'kvm_timer_vcpu_put',
  timer_save: 'timer_save_state',
  timer_restore: 'timer_restore_state',
  vtimer_save: 'vtimer_save_state',
  vtimer_restore: 'vtimer_restore_state',
  timer_schedule: 'kvm_timer_schedule',
  timer_unschedule: 'kvm_timer_unschedule',
  arch_blocking: 'kvm_arch_vcpu_blocking',
  arch_vcpu_blocking: 'kvm_arch_vcpu_blocking',
  arch_unblocking: 'kvm_arch_vcpu_unblocking',
  arch_vcpu_unblocking: 'kvm_arch_vcpu_unblocking',
  timer_enable: 'kvm_timer_enable',
  timer_reset: 'kvm_timer_vcpu_reset',
  timer_vcpu_reset: 'kvm_timer_vcpu_reset',
  timer_flush: 'kvm_timer_flush_hwstate',
  timer_sync: 'kvm_timer_sync_hwstate',
  timer_sync_user: 'kvm_timer_sync_user',
  vcpu_block: 'kvm_vcpu_block',
  vcpu_halt: 'kvm_vcpu_halt',
  vcpu_wfi: 'kvm_vcpu_wfi',
  vcpu_wake_up: 'kvm_vcpu_wake_up',
  vcpu_kick: 'kvm_vcpu_kick',
  timer_write_sysreg: 'kvm_arm_timer_write_sysreg',
  timer_read_sysreg: 'kvm_arm_timer_read_sysreg',
  timer_handler: 'kvm_arch_timer_handler',
  f_handler: 'kvm_arch_timer_handler',
  set_reg: 'kvm_arm_timer_set_reg',
  timer_set_reg: 'kvm_arm_timer_set_reg',
  bg_timer_expire: 'kvm_bg_timer_expire',
  hrtimer_expire: 'kvm_hrtimer_expire',
  timer_expire: 'kvm_timer_expire',
  update_irq: updateIrqEntry,
  inject_work: 'kvm_timer_inject_irq_work',
  inject_irq_work: 'kvm_timer_inject_irq_work',
  irqchip_state: 'irq_set_irqchip_state',
  set_irqchip_state: 'irq_set_irqchip_state',
  set_vcpu_affinity: 'irq_set_vcpu_affinity',
  vcpu_affinity: 'irq_set_vcpu_affinity',
  set_cntvoff: '__kvm_timer_set_cntvoff',
};

/** Functions that are the same place under another name. */
const synonyms: Record<string, (typeof functions)[number]['name']> = {
  set_cntvoff: '__kvm_timer_set_cntvoff',
  kvm_timer_update_irq: updateIrqEntry,
};

const specs: readonly EventSpec[] = [...tracepoints, ...functions];
const byName = new Map(specs.map((spec, index) => [spec.name, index]));
const firstFunction = tracepoints.length;

/** Name of a wanted tracepoint. */
export type TracepointName = (typeof tracepoints)[number]['name'];

/** Name of a function that is wanted where it is probed or traced. */
export type FunctionName = (typeof functions)[number]['name'];

/** Name of every wanted event. */
export type SourceName = TracepointName | FunctionName;

/** Catalogue index of every wanted event by name. */
export const Source = Object.fromEntries(byName) as { readonly [name in SourceName]: number };

function functionIndex(name: string): number {
  const index = byName.get(synonyms[name] ?? name);
  return index !== undefined && index >= firstFunction ? index : notWanted;
}

/**
 * Kinds that a source shows when it occurs, even where no record of it concerns a vcpu: a trace with
 * hrtimer_cancel would show the cancellation of a background timer.
 */
export const sourceKinds: readonly (readonly [SourceName, KindName])[] = [
  ['hrtimer_start', 'bg_arm'],
  ['hrtimer_start', 'soft_arm'],
  ['hrtimer_cancel', 'bg_cancel'],
  ['hrtimer_cancel', 'soft_cancel'],
  ['hrtimer_expire_entry', 'bg_expire'],
  ['hrtimer_expire_entry', 'soft_expire'],
  ['irq_handler_entry', 'vtimer_irq'],
  ['irq_handler_exit', 'vtimer_irq_end'],
  ['hrtimer_expire_exit', 'timer_callback_end'],
  ['kvm_arm_timer_set_reg', 'user_write'],
];

/** The wanted events of every kernel generation that has tracepoints for its timer (5.1 and later), and the probes. */
export const catalogue: Catalogue = {
  events: specs,

  tracepoint(name) {
    const index = byName.get(name);
    return index !== undefined && index < firstFunction ? index : notWanted;
  },

  functionEntry(name) {
    // Compilers and LTO add suffixes: .isra.0, .constprop.0, .cfi_jt, .llvm.123 (specification §3.4).
    const dot = name.indexOf('.');
    return functionIndex(dot > 0 ? name.slice(0, dot) : name);
  },

  probeAlias(name) {
    const alias = aliases[name];
    if (alias !== undefined) return functionIndex(alias);
    // Default names of the kernel (p_FUNCTION_OFFSET), of perf probe (FUNCTION, FUNCTION_1) and of trace-cmd.
    const stripped = name.replace(/^[pf]_/, '').replace(/_\d+$/, '');
    return functionIndex(stripped);
  },
};
