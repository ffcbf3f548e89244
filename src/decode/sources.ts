import type { KindName } from '../events/kinds.js';
import type { SourceName } from './catalogue.js';

/** A tracepoint or a probe that records events of a kind, and in which kernels (specification §3.3, §3.4). */
export interface KindSource {
  /** Tracepoint name, or for a probe the name of the function. */
  readonly name: SourceName;
  /** System of the tracepoint; absent for a probe. */
  readonly system?: 'kvm' | 'irq' | 'timer' | 'sched';
  /** Arguments that a probe has to fetch, in the syntax of kprobe_events for arm64. */
  readonly fetch?: string;
  /** First and last kernel that has it, `major * 1000 + minor`. */
  readonly since?: number;
  readonly until?: number;
}

type System = NonNullable<KindSource['system']>;

const tracepoint = (system: System, name: SourceName, since?: number): KindSource => ({
  name,
  system,
  ...(since !== undefined && { since }),
});
const kvm = (name: SourceName, since?: number): KindSource => tracepoint('kvm', name, since);

const vcpu = 'vcpu=%x0:x64';
const probe = (name: SourceName, fetch = vcpu, kernels: { since?: number; until?: number } = {}): KindSource => ({
  name,
  fetch,
  ...kernels,
});

/** What records each kind, the best first; a kind that is not here has no record of its own. */
export const kindSources: Partial<Record<KindName, readonly KindSource[]>> = {
  // A restore and a save give a load and a put away, with no probe at all.
  load: [kvm('kvm_timer_restore_state', 5001), probe('kvm_arch_vcpu_load')],
  put: [kvm('kvm_timer_save_state', 5001), probe('kvm_arch_vcpu_put')],
  timer_load: [probe('kvm_timer_vcpu_load', vcpu, { since: 4010 })],
  timer_put: [probe('kvm_timer_vcpu_put')],
  entry: [kvm('kvm_entry')],
  exit: [kvm('kvm_exit')],
  schedule: [kvm('kvm_wfx_arm64'), probe('kvm_arch_vcpu_blocking')],
  unschedule: [kvm('kvm_vcpu_wakeup'), probe('kvm_arch_vcpu_unblocking')],
  enable: [probe('kvm_timer_enable')],
  reset: [probe('kvm_timer_vcpu_reset')],
  flush: [probe('kvm_timer_flush_hwstate', vcpu, { until: 4015 })],
  sync: [probe('kvm_timer_sync_hwstate', vcpu, { until: 5009 }), probe('kvm_timer_sync_user', vcpu, { since: 5010 })],
  save: [kvm('kvm_timer_save_state', 5001)],
  restore: [kvm('kvm_timer_restore_state', 5001)],
  user_write: [probe('kvm_arm_timer_set_reg', `${vcpu} reg=%x1:x64 val=%x2:x64`, { until: 6999 })],
  trapped_access: [kvm('kvm_sys_access', 5004)],
  set_cntvoff: [probe('__kvm_timer_set_cntvoff', 'off=%x0:x64', { since: 5008 })],
  set_traps: [
    probe('enable_el1_phys_timer_access', '', { until: 4015 }),
    probe('disable_el1_phys_timer_access', '', { until: 4015 }),
  ],
  timer_map: [kvm('kvm_get_timer_map', 5001)],
  emulate: [kvm('kvm_timer_emulate', 5001)],
  vtimer_irq: [tracepoint('irq', 'irq_handler_entry'), probe('kvm_arch_timer_handler', 'irq=%x0:s32 vcpu=%x1:x64')],
  vtimer_irq_end: [tracepoint('irq', 'irq_handler_exit')],
  irq_begin: [tracepoint('irq', 'irq_handler_entry')],
  irq_end: [tracepoint('irq', 'irq_handler_exit')],
  update_irq: [kvm('kvm_timer_update_irq')],
  vgic_inject: [kvm('vgic_update_irq_pending')],
  irq_line: [kvm('kvm_irq_line')],
  set_active: [probe('irq_set_irqchip_state', 'irq=%x0:s32 which=%x1:s32 val=%x2:u8')],
  mask_irq: [probe('enable_percpu_irq', 'irq=%x0:s32'), probe('disable_percpu_irq', 'irq=%x0:s32')],
  set_affinity: [probe('irq_set_vcpu_affinity', 'irq=%x0:s32 vcpu=%x1:x64')],
  bg_arm: [tracepoint('timer', 'hrtimer_start')],
  bg_cancel: [tracepoint('timer', 'hrtimer_cancel')],
  bg_expire: [tracepoint('timer', 'hrtimer_expire_entry')],
  soft_arm: [tracepoint('timer', 'hrtimer_start')],
  soft_cancel: [tracepoint('timer', 'hrtimer_cancel')],
  soft_expire: [tracepoint('timer', 'hrtimer_expire_entry')],
  timer_callback_end: [tracepoint('timer', 'hrtimer_expire_exit')],
  expiry_work: [probe('kvm_timer_inject_irq_work', 'work=%x0:x64', { until: 4020 })],
  wfx: [kvm('kvm_wfx_arm64')],
  wakeup: [tracepoint('sched', 'sched_waking')],
  halt_end: [kvm('kvm_vcpu_wakeup')],
  userspace_exit: [kvm('kvm_userspace_exit')],
  sched_switch: [tracepoint('sched', 'sched_switch')],
};

/** Every probe of the table by the name of its function. */
export const probes: ReadonlyMap<string, KindSource> = new Map(
  Object.values(kindSources)
    .flat()
    .filter(({ system }) => system === undefined)
    .map((source) => [source.name, source]),
);

/** Group of the probes, as `trace-cmd record -e` takes it. */
const probeGroup = 'timervet';

/** The line of kprobe_events that makes a probe. The probe has its function's name: reports show nothing else of it. */
export function probeDefinition({ name, fetch }: KindSource): string {
  return `p:${probeGroup}/${name} ${name} ${fetch ?? ''}`.trimEnd();
}

/** Tracepoints as `trace-cmd record -e` takes them: all of kvm, because the rest of it tells the kernel's generation. */
function tracepoints(): string[] {
  const names = Object.values(kindSources)
    .flat()
    .flatMap(({ system, name }) => (system === undefined ? [] : system === 'kvm' ? ['kvm'] : [`${system}:${name}`]));
  const order = ['kvm', 'sched', 'irq', 'timer'];
  const rank = (event: string) => order.indexOf(event.split(':')[0]!);
  return [...new Set(names)].sort((a, b) => rank(a) - rank(b));
}

/** A `trace-cmd record` of everything that tracepoints can tell, and of the probes. */
export function recordCommand(withProbes: boolean): string {
  const events = [...tracepoints(), ...(withProbes ? [probeGroup] : [])];
  return `trace-cmd record -C mono -b 20000 ${events.map((event) => `-e ${event}`).join(' ')} sleep 10`;
}
