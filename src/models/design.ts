import type { KindName } from '../events/kinds.js';
import type { ModelId } from './model.js';

/**
 * A generation's timer code as data: what `timervet models` prints, what the simulator executes, and what the
 * mutation test breaks. A function's body is a list of statements which reads like the kernel function it is named
 * after; conditions and operations have names, and each name has one meaning (`guardMeanings`, `operationMeanings`).
 */
export interface Design {
  readonly id: ModelId;
  /** How a recording shows that its kernel is of this generation. */
  readonly recognised: string;
  /** What a trace of it can show, and what not. */
  readonly visible: string;
  readonly lifecycle: Lifecycle;
  /** What should_fire goes by for a timer that is loaded: its copy in memory, or the hardware's ISTATUS. */
  readonly shouldFire: 'memory' | 'hardware';
  /** The vgic samples the line of a mapped interrupt instead of keeping the level that was reported last. */
  readonly vgicSamplesLine: boolean;
  /** In the order in which a vcpu meets them. */
  readonly functions: readonly KernelFunction[];
}

/** Read in the source of that version, or inferred from a neighbouring one (specification, tags [V] and [I]). */
export type Basis = 'verified' | 'inferred';

// --- lifecycle --------------------------------------------------------------

/** Where a vcpu can be (specification §0.3). */
export const stateMeanings = {
  OUT: 'not loaded; its thread is elsewhere: in userspace, preempted, sleeping',
  LOADED: 'loaded on a CPU, host context, preemptible',
  ENTERING: 'between the flush and kvm_entry, preemption off',
  GUEST: 'between kvm_entry and the real exit',
  EXITING: 'between the real exit and the end of its handling; interrupts are on again',
  BLOCK_PREP: 'about to sleep, still loaded',
  BLOCK_OUT: 'blocked and put: asleep or preempted',
  BLOCK_BACK: 'loaded again, the wait is not over yet',
} as const;

export type StateName = keyof typeof stateMeanings;

/** A deterministic automaton over canonical events: one vcpu's life. */
export interface Lifecycle {
  readonly initial: StateName;
  /** The marked states: those in which a vcpu may stay for ever. */
  readonly final: readonly StateName[];
  /** Who owns the CPU's CNTV registers and what else holds, by state; its keys are the states of this generation. */
  readonly states: Readonly<Partial<Record<StateName, string>>>;
  readonly transitions: readonly Transition[];
}

export interface Transition {
  readonly from: StateName;
  readonly event: KindName;
  readonly to: StateName;
  readonly note?: string;
}

// --- functions --------------------------------------------------------------

export const functionRoles = {
  load: 'a vcpu is loaded on a CPU',
  timer_load: 'timer part of a load',
  load_irq: "a direct timer's interrupt at a load",
  put: 'a vcpu leaves its CPU',
  timer_put: 'timer part of a put',
  blocking: 'the thread goes to sleep',
  unblocking: 'the thread is back from its sleep',
  run: 'one trip into the guest',
  flush: 'before an entry',
  enter: 'world switch to the guest, at EL2',
  leave: 'world switch to the host, at EL2',
  fold: 'the vgic takes back its list registers after an exit',
  fold_irq: 'one list register',
  sync: 'after an exit',
  sync_nested: 'after an exit of a nested hypervisor',
  irq: "host handler of a guest timer's interrupt",
  schedule: 'before the thread sleeps in WFI',
  unschedule: 'after the sleep',
  bg_expire: 'background timer callback',
  bg_work: 'background timer work item',
  soft_expire: 'emulation timer callback',
  user_write: 'userspace writes a timer register',
  user_offset: 'userspace writes the counter',
  trapped_access: 'the guest writes a register of an emulated or trapped timer',
  enable: 'first KVM_RUN',
  reset: 'vcpu reset',
  save: 'hardware to memory',
  restore: 'memory to hardware',
  emulate: 'evaluate an emulated timer',
  refresh: 'memory from hardware, while loaded',
  update_state: 'compare outputs and levels',
  update_level: 'compare output and level of one timer',
  update_irq: 'report the level',
  set_offset: "the counter's offset",
  set_traps: 'the traps',
} as const;

/** What a function is for; a design has at most one of each, and calls them by role. */
export type Role = keyof typeof functionRoles;

export interface KernelFunction {
  readonly role: Role;
  /** The kernel's name, or names where it changed. */
  readonly kernel: string;
  readonly basis: Basis;
  /** In which context it runs, and what the kernel says of it. */
  readonly note?: string;
  /** The canonical event that a probe on it records. */
  readonly event?: KindName;
  /** Interrupts are off while it runs. */
  readonly irqsOff?: true;
  /** Runs at EL2, where neither tracepoints nor probes of the host reach. */
  readonly hyp?: true;
  readonly body: readonly Statement[];
}

export type Statement = Operate | If | Call | RecordOf | Return | BugOn;

/** One operation. */
export interface Operate {
  readonly do: OperationName;
  readonly value?: Value;
  /** The timer context, where it is not the one of the function. */
  readonly of?: ContextName;
  /** Through a hypercall on non-VHE. */
  readonly viaHyp?: true;
}

/** All guards must hold. */
export interface If {
  readonly if: readonly Guard[];
  readonly body: readonly Statement[];
  readonly else?: readonly Statement[];
}

/** Calls another function of the design, nothing when it is called for a context that the map does not have. */
export interface Call {
  readonly call: Role;
  readonly of?: ContextName;
  readonly value?: Value;
}

/** A tracepoint. */
export interface RecordOf {
  readonly record: KindName;
  readonly of?: ContextName;
}

export interface Return {
  readonly return: true;
}

/** BUG_ON or WARN_ON. */
export interface BugOn {
  readonly bugOn: Guard;
}

export const contextMeanings = {
  x: 'the timer that the function is called for',
  vtimer: 'the virtual timer',
  ptimer: 'the physical timer',
  direct_vtimer: "the map's direct virtual timer",
  direct_ptimer: "the map's direct physical timer, if there is one",
  emul_vtimer: "the map's emulated virtual timer, if there is one",
  emul_ptimer: "the map's emulated physical timer, if there is one",
} as const;

export type ContextName = keyof typeof contextMeanings;

export const guardMeanings = {
  enabled: 'the vcpu has run before',
  loaded: 'hardware holds this timer',
  level: 'the level is high',
  should_fire: 'this timer is enabled, not masked and expired',
  any_should_fire: 'one of the timers is enabled, not masked and expired',
  can_fire: 'this timer is enabled and not masked',
  any_can_fire: 'one of the timers is enabled and not masked',
  output_changed: 'should_fire differs from the level',
  hw_firing: 'CTL is ENABLE and ISTATUS and not IMASK',
  deadline_ahead: 'the earliest deadline is still ahead',
  vgic_active: 'the vgic has the interrupt active',
  want_active: 'the level is high, or the vgic has the interrupt active',
  lr_pending: 'the list register is still pending',
  active_cleared_last: 'the active state was cleared last time',
  bg_armed: 'the background timer is armed',
  running: 'a vcpu is loaded on this CPU',
  blocking: 'the thread is on its wait queue',
  vhe: 'VHE host',
  in_kernel_irqchip: 'the vgic is in the kernel',
  active_state: 'the host can write the active state of the interrupt',
  has_ptimer: '4.11 and later',
  writes_register: 'the access writes',
  direct: 'this timer is direct',
  virtual: 'this timer is a virtual one',
  cntpoff: 'the host has CNTPOFF_EL2',
  nested: 'a nested hypervisor',
  physical_offset: 'the physical counter has an offset that hardware cannot apply',
  gicv5: 'GICv5 guest',
  was_loaded: 'the vcpu is loaded',
} as const;

export type GuardName = keyof typeof guardMeanings;
/** A condition, or its opposite. */
export type Guard = GuardName | `!${GuardName}`;

/** Operands that are not literals are spelt as the kernel's expression. */
export type Value =
  | boolean
  | 'new'
  | 'level'
  | 'level || vgic_active'
  | '!(level || vgic_active)'
  | 'vgic_active'
  | '!level'
  | 'should_fire'
  | 'should_fire || vgic_active'
  | 'line'
  | 'vm_offset'
  | 'offset'
  | '0'
  | 'vcpu'
  | 'NULL'
  | 'guest'
  | 'host'
  | 'earliest'
  | 'deadline';

/** Every operation: how it is printed (`$` is the operand, `x` the timer), and what kind of cost it is. */
export const operationMeanings = {
  rd_ctl: ['mem.ctl := rd CTL(x)', 'register read'],
  rd_cval: ['mem.cval := rd CVAL(x)', 'register read'],
  wr_cval: ['wr CVAL(x) := mem.cval', 'register write'],
  wr_ctl: ['wr CTL(x) := mem.ctl', 'register write'],
  stop: ['wr CTL(x) := 0', 'register write'],
  isb: ['isb', 'barrier'],
  cntvoff: ['wr CNTVOFF_EL2 := $', 'register write'],
  cntpoff: ['wr CNTPOFF_EL2 := $', 'register write'],
  traps: ['wr CNTHCTL_EL2: $', 'register write'],
  dist_active: ['distributor active(x) := $', 'distributor write'],
  mask: ['disable_percpu_irq(x)', 'distributor write'],
  unmask: ['enable_percpu_irq(x)', 'distributor write'],
  affinity: ['irq_set_vcpu_affinity(x, $)', 'affinity'],
  inject: ['vgic inject(x, $)', 'vgic'],
  vgic_reset: ['vgic: reset the mapped interrupt(x)', 'vgic'],
  vgic_line: ['vgic: line(x) := $', 'vgic'],
  map_irq: ['vgic: map virtual to physical interrupt(x)', 'vgic'],
  bg_arm: ['start bg_timer at $', 'hrtimer'],
  bg_cancel: ['cancel bg_timer', 'hrtimer'],
  soft_arm: ['start soft timer(x) at $', 'hrtimer'],
  soft_cancel: ['cancel soft timer(x)', 'hrtimer'],
  queue_work: ['queue work item', 'work'],
  cancel_work: ['cancel work item', 'work'],
  wake_up: ['wake up the vcpu thread', 'wakeup'],
  set_loaded: ['loaded(x) := $', 'memory'],
  set_level: ['level(x) := $', 'memory'],
  set_enabled: ['enabled := $', 'memory'],
  set_running: ['running vcpu of this CPU := $', 'memory'],
  set_active_cleared_last: ['active_cleared_last := $', 'memory'],
  clear_ctl: ['mem.ctl(x) := 0', 'memory'],
  write_register: ['the written field of mem(x) := value', 'memory'],
  write_offset: ['offset of the VM := CNTPCT - value', 'memory'],
  irqs_off: ['local_irq_disable', 'interrupts'],
  irqs_on: ['local_irq_enable', 'interrupts'],
  guest: ['the guest runs', 'guest'],
} as const satisfies Record<string, readonly [text: string, cost: string]>;

export type OperationName = keyof typeof operationMeanings;
