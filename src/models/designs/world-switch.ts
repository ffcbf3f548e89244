import type { Design } from '../design.js';
import { bugOn, call, done, fn, op, record, returnIf, when } from '../statements.js';
import { worldSwitchLifecycle } from './lifecycles.js';

// Source: virt/kvm/arm/arch_timer.c, arch/arm/kvm/arm.c and hyp/timer-sr.c of 4.9 and 4.14 (specification §2a).

/** 4.4 to 4.14: the hypervisor saves and restores the timer around every entry. */
export const worldSwitchDesign: Design = {
  id: 'world-switch',
  recognised: 'hrtimer callback kvm_timer_expire; or a kernel release 4.4 to 4.14 where the trace shows nothing newer',
  visible:
    'entries, exits, levels and the background timer; with probes flush, sync, schedule, unschedule and the active state. ' +
    'CTL, CVAL, CNTVOFF and the traps are written at EL2, unseen; an interrupt of the timer on the host is never legal.',
  lifecycle: worldSwitchLifecycle,
  shouldFire: 'memory',
  vgicSamplesLine: false,
  functions: [
    fn(
      'load',
      'kvm_arch_vcpu_load',
      { event: 'load', note: 'no effect on the timer; from 4.11 on it calls kvm_timer_vcpu_load, which is empty' },
      [op('set_running', 'vcpu')],
    ),
    fn('put', 'kvm_arch_vcpu_put', { event: 'put' }, [op('set_running', 'NULL'), call('timer_put')]),
    fn('timer_put', 'kvm_timer_vcpu_put', { event: 'timer_put' }, [op('set_active_cleared_last', false)]),
    fn('run', 'kvm_arch_vcpu_ioctl_run', { note: 'preemption is off from the flush to the sync' }, [
      call('flush'),
      op('irqs_off'),
      record('entry'),
      call('enter'),
      op('guest'),
      call('leave'),
      op('irqs_on'),
      record('exit'),
      call('sync'),
      call('fold'),
    ]),
    fn(
      'flush',
      'kvm_timer_flush_hwstate',
      { event: 'flush', note: 'interrupts on; 4.9 also returns while the vgic is not initialised' },
      [
        returnIf('!enabled'),
        call('update_state'),
        when(['has_ptimer'], [call('emulate', 'ptimer')]),
        when(['!in_kernel_irqchip'], [when('level', [op('mask')], [op('unmask')]), done]),
        returnIf('active_cleared_last', '!want_active'),
        op('dist_active', 'level || vgic_active'),
        op('set_active_cleared_last', '!(level || vgic_active)'),
      ],
    ),
    fn('emulate', 'kvm_timer_emulate', { note: 'with the one hrtimer of the vcpu; 4.11 to 4.14' }, [
      returnIf('should_fire'),
      returnIf('!can_fire'),
      op('bg_arm', 'deadline'),
    ]),
    fn(
      'enter',
      '__timer_restore_state',
      { hyp: true, note: '4.9 configures the traps on VHE as well, in the wrong layout (488f94d7212b)' },
      [
        when('!vhe', [call('set_traps', 'vtimer', 'guest')]),
        when('enabled', [op('cntvoff', 'vm_offset'), op('wr_cval'), op('isb'), op('wr_ctl')]),
      ],
    ),
    fn('leave', '__timer_save_state', { hyp: true }, [
      when('enabled', [op('rd_ctl'), op('rd_cval')]),
      op('stop'),
      when('!vhe', [call('set_traps', 'vtimer', 'host')]),
      op('cntvoff', '0'),
    ]),
    fn('set_traps', '__timer_enable_traps, __timer_disable_traps', { hyp: true, note: 'EL1PCEN and EL1PCTEN' }, [
      op('traps', 'new'),
    ]),
    fn('sync', 'kvm_timer_sync_hwstate', { event: 'sync', note: 'interrupts on; also after an aborted entry' }, [
      when(['has_ptimer'], [op('bg_cancel')], [bugOn('bg_armed')]),
      call('update_state'),
    ]),
    fn(
      'fold',
      'kvm_vgic_sync_hwstate',
      { note: 'takes back active and pending bits; the line is the timer’s matter' },
      [],
    ),
    fn('update_state', 'kvm_timer_update_state', {}, [
      returnIf('!enabled'),
      call('update_level', 'vtimer'),
      when('has_ptimer', [call('update_level', 'ptimer')]),
    ]),
    fn('update_level', 'kvm_timer_update_state, of one timer', {}, [
      when('output_changed', [call('update_irq', 'x', '!level')]),
    ]),
    fn('update_irq', 'kvm_timer_update_irq', {}, [
      op('set_active_cleared_last', false),
      op('set_level', 'new'),
      record('update_irq'),
      when('in_kernel_irqchip', [op('inject', 'new')]),
    ]),
    fn(
      'irq',
      'kvm_arch_timer_handler',
      { event: 'vtimer_irq', note: 'never legal: prints "Unexpected interrupt"' },
      [],
    ),
    fn('schedule', 'kvm_timer_schedule', { event: 'schedule', note: 'preemptible, after halt polling' }, [
      bugOn('bg_armed'),
      returnIf('any_should_fire'),
      returnIf('!any_can_fire'),
      op('bg_arm', 'earliest'),
    ]),
    fn('unschedule', 'kvm_timer_unschedule', { event: 'unschedule' }, [
      when('bg_armed', [op('bg_cancel')]),
      op('cancel_work'),
    ]),
    fn(
      'bg_expire',
      'kvm_timer_expire',
      { event: 'bg_expire', note: 'up to 4.9 the work item, not the callback, clears armed' },
      [when('deadline_ahead', [op('bg_arm', 'earliest'), done]), op('queue_work')],
    ),
    fn('bg_work', 'kvm_timer_inject_irq_work', {}, [op('wake_up')]),
    fn('user_write', 'kvm_arm_timer_set_reg', { event: 'user_write' }, [op('write_register'), call('update_state')]),
    fn('user_offset', 'kvm_arm_timer_set_reg, KVM_REG_ARM_TIMER_CNT', { event: 'user_write' }, [
      op('write_offset'),
      call('update_state'),
    ]),
    fn(
      'trapped_access',
      'kvm_arm_timer_set_reg of a trapped CNTP access',
      { event: 'trapped_access', basis: 'inferred', note: '4.11 to 4.14' },
      [when('writes_register', [op('write_register')])],
    ),
    fn('enable', 'kvm_timer_enable', { event: 'enable' }, [op('map_irq'), op('set_enabled', true)]),
    fn('reset', 'kvm_timer_vcpu_reset', { event: 'reset', note: 'CVAL is kept; PSCI CPU_ON resets another vcpu' }, [
      op('clear_ctl', undefined, 'vtimer'),
      when('has_ptimer', [op('clear_ctl', undefined, 'ptimer')]),
      call('update_state'),
    ]),
  ],
};
