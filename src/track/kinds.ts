import { Kind } from '../events/kinds.js';

/** Kinds that only a thread writes, never an interrupt handler. */
export const taskKinds = new Set<number>([
  Kind.load,
  Kind.put,
  Kind.timer_load,
  Kind.timer_put,
  Kind.entry,
  Kind.exit,
  Kind.save,
  Kind.restore,
  Kind.emulate,
  Kind.schedule,
  Kind.unschedule,
  Kind.flush,
  Kind.sync,
  Kind.enable,
  Kind.wfx,
  Kind.halt_end,
  Kind.userspace_exit,
  Kind.sched_switch,
  Kind.vcpu_pointer,
]);

/** Kinds that only an interrupt handler writes. */
export const irqKinds = new Set<number>([
  Kind.vtimer_irq,
  Kind.vtimer_irq_end,
  Kind.irq_begin,
  Kind.irq_end,
  Kind.bg_expire,
  Kind.soft_expire,
]);

/** Kinds that a put consists of (kvm_arch_vcpu_put and all it calls). */
export const putKinds = new Set<number>([
  Kind.put,
  Kind.timer_put,
  Kind.timer_map,
  Kind.save,
  Kind.bg_arm,
  Kind.bg_cancel,
  Kind.soft_cancel,
  Kind.set_cntvoff,
  Kind.set_affinity,
  Kind.set_active,
  Kind.mask_irq,
  Kind.set_traps,
]);

/** Kinds of which every event belongs to a vcpu: one without is worth counting. */
export const vcpuKinds = new Set<number>([
  ...taskKinds,
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
for (const kind of [Kind.sched_switch, Kind.userspace_exit, Kind.vcpu_pointer]) vcpuKinds.delete(kind);
