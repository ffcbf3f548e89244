/**
 * The canonical events (specification §0.2): what a recording says, in the words kernel people use.
 *
 * A kind is a small integer in the hot path and its name everywhere a person or a file sees it. An enum, since its
 * members are constants where the code is bundled: the hot path switches over them at every event.
 */
export enum Kind {
  // lifecycle of a vcpu
  load,
  put,
  put_end,
  timer_load,
  timer_put,
  entry,
  exit,
  schedule,
  unschedule,
  enable,
  reset,
  flush,
  sync,
  // timer registers
  save,
  restore,
  user_write,
  trapped_access,
  set_cntvoff,
  set_cntpoff,
  set_traps,
  timer_map,
  emulate,
  // interrupt line
  vtimer_irq,
  vtimer_irq_end,
  update_irq,
  vgic_inject,
  irq_line,
  set_active,
  mask_irq,
  set_affinity,
  // background and soft timers
  bg_arm,
  bg_cancel,
  bg_expire,
  soft_arm,
  soft_cancel,
  soft_expire,
  timer_callback_end,
  expiry_work,
  // scheduling and userspace
  wfx,
  wakeup,
  halt_end,
  userspace_exit,
  sched_switch,
  vcpu_pointer,
  irq_begin,
  irq_end,
  // the recording itself
  lost,
}

/** The name of a canonical event kind. */
export type KindName = keyof typeof Kind;

/** The specification's shorthand and one sentence on each kind. */
const definitions: Readonly<Record<KindName, readonly [letter: string, meaning: string]>> = {
  load: ['L', 'kvm_arch_vcpu_load: the vcpu becomes the running vcpu of a CPU'],
  put: ['P', 'kvm_arch_vcpu_put: the vcpu leaves the CPU'],
  put_end: ['p', 'the put is complete: the first record after it that is no part of it (always derived)'],
  timer_load: ['L', 'kvm_timer_vcpu_load: the timer part of a load, or of a trapped access up to 6.2'],
  timer_put: ['P', 'kvm_timer_vcpu_put: the timer part of a put, or of a trapped access up to 6.2'],
  entry: ['E', 'kvm_entry: interrupts off, immediately before the world switch'],
  exit: ['X', 'kvm_exit: later than the real exit, the host has already taken its interrupts'],
  schedule: ['B', 'kvm_timer_schedule or the blocking hook: the vcpu thread is about to sleep'],
  unschedule: ['b', 'kvm_timer_unschedule or the unblocking hook: the vcpu thread no longer sleeps'],
  enable: ['N', 'kvm_timer_enable: the first KVM_RUN of the vcpu'],
  reset: ['Q', 'kvm_timer_vcpu_reset'],
  flush: ['H', 'kvm_timer_flush_hwstate'],
  sync: ['Z', 'kvm_timer_sync_hwstate, kvm_timer_sync_user or kvm_timer_sync_nested'],
  save: ['S', 'hardware to memory, then hardware CTL := 0'],
  restore: ['R', 'memory to hardware'],
  user_write: ['V', 'KVM_SET_ONE_REG of CTL, CVAL or CNT, or a VM counter offset'],
  trapped_access: ['e', 'trapped guest access to a timer register'],
  set_cntvoff: ['O', 'CNTVOFF_EL2 written'],
  set_cntpoff: ['Op', 'CNTPOFF_EL2 written'],
  set_traps: ['T', 'CNTHCTL_EL2 written'],
  timer_map: ['K', 'kvm_get_timer_map: which context is direct and which is emulated'],
  emulate: ['em', 'kvm_timer_emulate: an emulated context is evaluated'],
  vtimer_irq: ['I', 'the host handler of the guest timer PPI starts'],
  vtimer_irq_end: ['i', 'the host handler of the guest timer PPI ends'],
  update_irq: ['U', 'kvm_timer_update_irq: the timer reports its output level'],
  vgic_inject: ['G', 'vgic_update_irq_pending: the vgic takes the level'],
  irq_line: ['IL', 'kvm_irq_line: userspace injects an interrupt'],
  set_active: ['D', 'irq_set_irqchip_state: active state of the PPI at the distributor'],
  mask_irq: ['M', 'enable_percpu_irq or disable_percpu_irq of the PPI'],
  set_affinity: ['Y', 'irq_set_vcpu_affinity: the forwarded flag of the PPI'],
  bg_arm: ['A', 'background hrtimer started'],
  bg_cancel: ['C', 'background hrtimer removed'],
  bg_expire: ['F', 'background hrtimer callback runs'],
  soft_arm: ['a', 'emulation hrtimer of a context started'],
  soft_cancel: ['k', 'emulation hrtimer of a context removed'],
  soft_expire: ['f', 'emulation hrtimer callback of a context runs'],
  timer_callback_end: ['fe', 'the hrtimer callback returns'],
  expiry_work: ['Fw', 'kvm_timer_inject_irq_work: the work item of an expired background timer runs, up to 4.20'],
  wfx: ['wfx', 'the guest executed WFI or WFE'],
  wakeup: ['W', 'a vcpu thread is made runnable'],
  halt_end: ['hw', 'kvm_vcpu_wakeup: the vcpu leaves its halt'],
  userspace_exit: ['ux', 'kvm_userspace_exit: KVM_RUN returns to userspace'],
  sched_switch: ['sw', 'the scheduler switches threads on a CPU'],
  vcpu_pointer: ['vp', 'kvm_arm_setup_debug: names the vcpu pointer of the thread'],
  irq_begin: ['hi', 'the host handler of another interrupt starts'],
  irq_end: ['he', 'the host handler of another interrupt ends'],
  lost: ['lost', 'records of a CPU were lost'],
};

/** Every kind's name, indexed by its number. */
export const kindNames: readonly KindName[] = Object.values(Kind).filter(
  (value): value is KindName => typeof value === 'string',
);

/** One sentence on each kind, indexed by its number. */
export const kindMeanings: readonly string[] = kindNames.map((name) => definitions[name][1]);

/** A set of kinds that is asked at every event: 1 at the number of each member. */
export type KindSet = Readonly<Uint8Array>;

/** Makes a set of kinds. */
export function kindSet(kinds: readonly Kind[]): KindSet {
  const set = new Uint8Array(kindNames.length);
  for (const kind of kinds) set[kind] = 1;
  return set;
}
