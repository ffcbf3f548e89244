import type { Design } from '../design.js';
import { bugOn, call, fn, hyp, op, record, returnIf, when } from '../statements.js';
import { rfcLifecycle } from './lifecycles.js';

// Source: [RFC PATCH 5/7] "KVM: arm/arm64: Move timer save/restore out of hyp code where possible" on 4.10-rc
// (specification §2b). One virtual timer, in-kernel irqchip only; W1 to W15 name the weak points.

/** The RFC of December 2016: save and restore in load and put. */
export const rfcLoadPutDesign: Design = {
  id: 'rfc-load-put',
  recognised:
    'load hooks and irq_set_vcpu_affinity at every load, with the names of 4.14 and earlier and without kvm_get_timer_map',
  visible:
    'loads, puts, levels, interrupts, the background timer; with probes schedule, unschedule, affinity, active state and CNTVOFF. ' +
    'Save and restore have no tracepoint: a load or put implies them. The traps are written at EL2, unseen.',
  lifecycle: rfcLifecycle,
  shouldFire: 'memory',
  vgicSamplesLine: false,
  functions: [
    fn('load', 'kvm_arch_vcpu_load', { event: 'load' }, [op('set_running', 'vcpu'), call('timer_load')]),
    fn(
      'timer_load',
      'kvm_timer_vcpu_load',
      { event: 'timer_load', note: 'for every vcpu ioctl, enabled or not (W10)' },
      [
        op('affinity', 'vcpu'),
        op('dist_active', 'level || vgic_active'),
        hyp('cntvoff', 'vm_offset'),
        call('restore', 'vtimer'),
      ],
    ),
    fn('put', 'kvm_arch_vcpu_put', { event: 'put' }, [call('timer_put'), op('set_running', 'NULL')]),
    fn('timer_put', 'kvm_timer_vcpu_put', { event: 'timer_put', note: 'clears the flag of all CPUs (W1)' }, [
      when('vhe', [call('leave')]),
      call('save', 'vtimer'),
      hyp('cntvoff', '0'),
      op('affinity', 'NULL'),
    ]),
    fn('save', 'timer_save_state', { irqsOff: true, note: 'no isb after the stop (W2)' }, [
      returnIf('!loaded'),
      when('enabled', [op('rd_ctl'), op('rd_cval')]),
      op('stop'),
      op('set_loaded', false),
      record('save'),
    ]),
    fn(
      'restore',
      'timer_restore_state',
      { irqsOff: true, note: 'loaded is set for a vcpu that is not enabled, too (W5)' },
      [
        returnIf('loaded'),
        when('enabled', [op('wr_cval'), op('isb'), op('wr_ctl')]),
        op('set_loaded', true),
        record('restore'),
      ],
    ),
    fn(
      'refresh',
      'kvm_timer_should_fire, first half',
      { note: 'reads the current CPU, wherever the vcpu is loaded (W8)' },
      [when('loaded', [op('rd_ctl'), op('rd_cval')])],
    ),
    fn('run', 'kvm_arch_vcpu_ioctl_run', {}, [
      call('flush'),
      op('irqs_off'),
      record('entry'),
      call('enter'),
      op('guest'),
      call('leave'),
      call('sync'),
      call('fold'),
      op('irqs_on'),
      record('exit'),
    ]),
    fn('flush', 'kvm_timer_flush_hwstate', { event: 'flush' }, []),
    fn(
      'enter',
      '__timer_enable_traps',
      { hyp: true, note: 'its guard makes the calls of load and put on VHE do nothing (W14)' },
      [when('!vhe', [op('traps', 'guest')])],
    ),
    fn('leave', '__timer_disable_traps', { hyp: true }, [when('!vhe', [op('traps', 'host')])]),
    fn(
      'sync',
      'kvm_timer_sync_hwstate',
      {
        event: 'sync',
        irqsOff: true,
        note: 'not after an aborted entry (W15); the physical interrupt stays active (W6)',
      },
      [
        bugOn('bg_armed'),
        when('level', [call('refresh', 'vtimer'), when('!should_fire', [call('update_irq', 'vtimer', false)])]),
      ],
    ),
    fn('fold', 'kvm_vgic_sync_hwstate', {}, []),
    fn(
      'irq',
      'kvm_arch_timer_handler',
      {
        event: 'vtimer_irq',
        note: 'the running vcpu is not checked for NULL (W2); the memory copy is overwritten (W3)',
      },
      [when('!level', [op('rd_ctl', undefined, 'vtimer'), when('can_fire', [call('update_irq', 'vtimer', true)])])],
    ),
    fn('schedule', 'kvm_timer_schedule', { event: 'schedule', note: 'preemptible, after halt polling' }, [
      bugOn('bg_armed'),
      call('save', 'vtimer'),
      call('refresh', 'vtimer'),
      returnIf('any_should_fire'),
      returnIf('!any_can_fire'),
      op('bg_arm', 'earliest'),
    ]),
    fn('unschedule', 'kvm_timer_unschedule', { event: 'unschedule' }, [
      when('bg_armed', [op('bg_cancel')]),
      op('cancel_work'),
      call('restore', 'vtimer'),
    ]),
    fn('bg_expire', 'kvm_timer_expire', { event: 'bg_expire' }, [
      when('deadline_ahead', [op('bg_arm', 'earliest')], [op('queue_work')]),
    ]),
    fn('bg_work', 'kvm_timer_inject_irq_work', {}, [op('wake_up')]),
    fn('update_state', 'kvm_timer_update_state', {}, [
      returnIf('!enabled'),
      call('refresh', 'vtimer'),
      when('output_changed', [call('update_irq', 'vtimer', '!level')]),
    ]),
    fn('update_irq', 'kvm_timer_update_irq', { note: 'from the handler in hard interrupt context (W12)' }, [
      op('set_level', 'new'),
      record('update_irq'),
      op('inject', 'new'),
    ]),
    fn(
      'user_write',
      'kvm_arm_timer_set_reg',
      { event: 'user_write', note: 'the ioctl has loaded the vcpu: update_state reads hardware over the value (W4)' },
      [op('write_register'), call('update_state')],
    ),
    fn(
      'user_offset',
      'kvm_arm_timer_set_reg, KVM_REG_ARM_TIMER_CNT',
      { event: 'user_write', note: 'vcpus that are loaded keep the old one (W13)' },
      [op('write_offset'), call('update_state')],
    ),
    fn('enable', 'kvm_timer_enable', { event: 'enable', note: 'while loaded (W5)' }, [
      op('map_irq'),
      op('set_enabled', true),
    ]),
    fn('reset', 'kvm_timer_vcpu_reset', { event: 'reset', note: 'the vcpu may be loaded (W4)' }, [
      op('clear_ctl', undefined, 'vtimer'),
      call('update_state'),
    ]),
  ],
};
