/**
 * What a trace records, as far as derivation depends on it: absent probes are made up for, present ones are not. What
 * appears late, because its filter lets little through or the VM starts long after the recorder, counts from then on.
 */
export interface Feeds {
  /** kvm_arch_vcpu_load and kvm_arch_vcpu_put are probed. */
  loadProbe: boolean;
  putProbe: boolean;
  /** kvm_timer_vcpu_load and kvm_timer_vcpu_put are probed. */
  timerLoadProbe: boolean;
  timerPutProbe: boolean;
  /** Each CPU recorded into a buffer of its own, whose beginning may be missing; a native trace is one story. */
  ringBuffers: boolean;
  /** Exits are recorded. */
  exits: boolean;
  /** Saves are recorded, and one of the virtual timer is part of a put. */
  saves: boolean;
  /** Restores are recorded, each in a load. */
  restores: boolean;
  /** The blocking hooks are probed. */
  scheduleProbe: boolean;
  /** kvm_timer_vcpu_reset is probed, or a native trace would name it. */
  resetProbe: boolean;
  /** hrtimer_expire_entry is recorded, so that a callback probe and kvm_timer_hrtimer_expire repeat it. */
  hrtimerExpiry: boolean;
  /** irq_handler_exit is recorded of the interrupts of guest timers, and of others: else nobody knows when one ends. */
  timerIrqEnds: boolean;
  irqEnds: boolean;
}
