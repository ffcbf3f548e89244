import { Kind, type KindSet, kindSet } from '../events/kinds.js';

const loading = [Kind.load, Kind.put, Kind.timer_load, Kind.timer_put, Kind.save, Kind.restore] as const;

const running = [
  Kind.entry,
  Kind.exit,
  Kind.schedule,
  Kind.unschedule,
  Kind.flush,
  Kind.sync,
  Kind.enable,
  Kind.wfx,
  Kind.halt_end,
] as const;

/** What a vcpu's thread writes, and nobody else. */
const ofVcpuThread = [...loading, ...running, Kind.emulate] as const;

/** What loading and putting a vcpu consists of. */
export const loadKinds = kindSet(loading);

/** What only KVM_RUN does with a vcpu, and no other ioctl. */
export const runKinds = kindSet([...running, Kind.vcpu_pointer]);

/** Kinds that only a thread writes, never an interrupt handler. */
export const taskKinds = kindSet([
  ...ofVcpuThread,
  Kind.userspace_exit,
  Kind.sched_switch,
  Kind.vcpu_pointer,
  Kind.set_cntvoff,
  Kind.set_cntpoff,
]);

/** Kinds that only an interrupt handler writes. */
export const irqKinds = kindSet([
  Kind.vtimer_irq,
  Kind.vtimer_irq_end,
  Kind.irq_begin,
  Kind.irq_end,
  Kind.bg_expire,
  Kind.soft_expire,
]);

/**
 * Kinds that do not come from kvm_arch_timer_handler: it touches no hrtimer, and with interrupts off no other one nests
 * in it.
 */
export const notInHandler = kindSet([
  Kind.bg_arm,
  Kind.bg_cancel,
  Kind.bg_expire,
  Kind.soft_arm,
  Kind.soft_cancel,
  Kind.soft_expire,
  Kind.irq_begin,
]);

/** Kinds that a put consists of (kvm_arch_vcpu_put and all it calls). */
export const putKinds = kindSet([
  Kind.put,
  Kind.timer_put,
  Kind.timer_map,
  Kind.save,
  Kind.bg_arm,
  Kind.bg_cancel,
  Kind.soft_cancel,
  Kind.set_cntvoff,
  Kind.set_cntpoff,
  Kind.set_affinity,
  Kind.set_active,
  Kind.mask_irq,
  Kind.set_traps,
]);

/** Kinds of which every event belongs to a vcpu: one without is worth counting. */
export const vcpuKinds = kindSet([
  ...ofVcpuThread,
  Kind.timer_map,
  Kind.update_irq,
  Kind.bg_arm,
  Kind.bg_cancel,
  Kind.bg_expire,
  Kind.soft_arm,
  Kind.soft_cancel,
  Kind.soft_expire,
  Kind.reset,
  Kind.user_write,
]);

/** Kinds that a thread without vcpus does not write. */
export const provesThread: KindSet = taskKinds.map((member, kind) =>
  kind === Kind.timer_map ? 1 : kind === Kind.sched_switch ? 0 : member,
);
