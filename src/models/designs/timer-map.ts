import type { Design, KernelFunction } from '../design.js';
import { call, done, fn, hyp, op, record, returnIf, when } from '../statements.js';
import { timerMapLifecycle } from './lifecycles.js';

// Source: arch_timer.c and arm.c of 5.4, 5.10, 5.15 and 6.1 (specification §2d). The map tells direct from emulated
// timers: VHE has the virtual and the physical one direct, non-VHE the virtual one only.

export const timerMapFunctions: readonly KernelFunction[] = [
  fn('load', 'kvm_arch_vcpu_load', { event: 'load' }, [op('set_running', 'vcpu'), call('timer_load')]),
  fn('timer_load', 'kvm_timer_vcpu_load', { event: 'timer_load', note: 'the vgic is loaded before' }, [
    returnIf('!enabled'),
    record('timer_map'),
    call('load_irq', 'direct_vtimer'),
    call('load_irq', 'direct_ptimer'),
    hyp('cntvoff', 'vm_offset'),
    call('unblocking'),
    call('restore', 'direct_vtimer'),
    call('restore', 'direct_ptimer'),
    call('emulate', 'emul_ptimer'),
  ]),
  fn(
    'load_irq',
    'kvm_timer_vcpu_load_gic',
    { note: 'kvm_timer_vcpu_load_nogic masks instead; the report is there since bae561c0cff7' },
    [
      call('update_irq', 'x', 'should_fire'),
      when('active_state', [op('dist_active', 'level || vgic_active')], [when('level', [op('mask')], [op('unmask')])]),
    ],
  ),
  fn('put', 'kvm_arch_vcpu_put', { event: 'put' }, [call('timer_put'), op('set_running', 'NULL')]),
  fn('timer_put', 'kvm_timer_vcpu_put', { event: 'timer_put' }, [
    returnIf('!enabled'),
    record('timer_map'),
    call('save', 'direct_vtimer'),
    call('save', 'direct_ptimer'),
    op('soft_cancel', undefined, 'emul_ptimer'),
    when('blocking', [call('blocking')]),
    hyp('cntvoff', '0'),
  ]),
  fn('blocking', 'kvm_timer_blocking', { note: 'from 5.19 on the deadline of a WFIT counts, too' }, [
    record('timer_map'),
    returnIf('!any_can_fire'),
    op('bg_arm', 'earliest'),
  ]),
  fn('unblocking', 'kvm_timer_unblocking', {}, [op('bg_cancel')]),
  fn('save', 'timer_save_state', { irqsOff: true }, [
    returnIf('!enabled'),
    returnIf('!loaded'),
    op('rd_ctl'),
    op('rd_cval'),
    op('stop'),
    op('isb'),
    record('save'),
    op('set_loaded', false),
  ]),
  fn('restore', 'timer_restore_state', { irqsOff: true }, [
    returnIf('!enabled'),
    returnIf('loaded'),
    op('wr_cval'),
    op('isb'),
    op('wr_ctl'),
    record('restore'),
    op('set_loaded', true),
  ]),
  fn(
    'emulate',
    'timer_emulate',
    {
      note: 'returns after a change of the level: no soft timer (b450dcce93bc); up to 6.2 one is armed for an expired timer, too (4d74ecfa6458)',
    },
    [
      record('emulate'),
      when('output_changed', [call('update_irq', 'x', 'should_fire'), done]),
      when('!can_fire', [op('soft_cancel'), done]),
      op('soft_arm', 'deadline'),
    ],
  ),
  fn('run', 'kvm_arch_vcpu_ioctl_run', {}, [
    op('irqs_off'),
    record('entry'),
    call('enter'),
    op('guest'),
    call('leave'),
    call('fold'),
    when('!in_kernel_irqchip', [call('sync')]),
    op('irqs_on'),
    record('exit'),
  ]),
  fn('enter', '__timer_enable_traps', { hyp: true, note: 'non-VHE; on VHE CNTHCTL_EL2 is set when a CPU comes up' }, [
    when('!vhe', [op('traps', 'guest')]),
  ]),
  fn('leave', '__timer_disable_traps', { hyp: true }, [when('!vhe', [op('traps', 'host')])]),
  fn('fold', 'vgic_v3_fold_lr_state', { note: 'samples the line of the list register’s interrupt' }, [
    call('fold_irq', 'direct_vtimer'),
    call('fold_irq', 'direct_ptimer'),
  ]),
  fn('fold_irq', 'vgic_v3_fold_lr_state, of one interrupt', {}, [
    when('lr_pending', [op('vgic_line', 'line'), when('!hw_firing', [op('dist_active', false)])]),
  ]),
  fn(
    'sync',
    'kvm_timer_sync_user',
    { event: 'sync', note: 'userspace irqchip only; kvm_timer_sync_hwstate up to 5.4' },
    [
      when('!hw_firing', [
        call('update_irq', 'vtimer', false),
        when('active_state', [op('dist_active', false)], [op('unmask')]),
      ]),
    ],
  ),
  fn('irq', 'kvm_arch_timer_handler', { event: 'vtimer_irq' }, [
    returnIf('!running'),
    record('timer_map'),
    when('hw_firing', [call('update_irq', 'x', true)]),
    when(['!in_kernel_irqchip', '!active_state'], [op('mask')]),
  ]),
  fn('bg_expire', 'kvm_bg_timer_expire', { event: 'bg_expire' }, [
    when('deadline_ahead', [op('bg_arm', 'earliest'), done]),
    op('wake_up'),
  ]),
  fn('soft_expire', 'kvm_hrtimer_expire', { event: 'soft_expire' }, [
    when('deadline_ahead', [op('soft_arm', 'deadline'), done]),
    call('update_irq', 'x', true),
  ]),
  fn('update_irq', 'kvm_timer_update_irq', {}, [
    op('set_level', 'new'),
    record('update_irq'),
    when('in_kernel_irqchip', [op('inject', 'new')]),
  ]),
  fn(
    'user_write',
    'kvm_arm_timer_set_reg',
    { event: 'user_write', note: 'memory only, ISTATUS stripped; 5.1 and 5.2 also report and arm (6bc210003dff)' },
    [op('write_register')],
  ),
  fn('user_offset', 'kvm_arm_timer_set_reg, KVM_REG_ARM_TIMER_CNT', { event: 'user_write' }, [op('write_offset')]),
  fn(
    'trapped_access',
    'kvm_arm_timer_write_sysreg',
    {
      event: 'trapped_access',
      note: 'preemption off; from 6.3 on only the timer itself is saved and restored, or emulated again',
    },
    [call('timer_put'), when('writes_register', [op('write_register')]), call('timer_load')],
  ),
  fn('enable', 'kvm_timer_enable', { event: 'enable', note: 'before the load' }, [
    op('map_irq'),
    op('set_enabled', true),
  ]),
  fn('reset', 'kvm_timer_vcpu_reset', { event: 'reset', note: 'inside a put and load of a vcpu that is loaded' }, [
    when('was_loaded', [call('put')]),
    record('timer_map'),
    op('clear_ctl', undefined, 'vtimer'),
    op('clear_ctl', undefined, 'ptimer'),
    when('enabled', [
      call('update_irq', 'vtimer', false),
      call('update_irq', 'ptimer', false),
      when('in_kernel_irqchip', [
        op('vgic_reset', undefined, 'direct_vtimer'),
        op('vgic_reset', undefined, 'direct_ptimer'),
      ]),
    ]),
    op('soft_cancel', undefined, 'emul_ptimer'),
    when('was_loaded', [call('load')]),
  ]),
];

/** 5.1 to 6.3. */
export const timerMapDesign: Design = {
  id: 'timer-map',
  recognised: 'kvm_get_timer_map without "ev:"; dp tells VHE from non-VHE',
  visible:
    'every save and restore with CTL and CVAL, every map, report and evaluation; loads and puts follow from them. With probes also ' +
    'active state and CNTVOFF; the traps of non-VHE hosts are written at EL2, unseen.',
  lifecycle: timerMapLifecycle,
  shouldFire: 'hardware',
  vgicSamplesLine: true,
  functions: timerMapFunctions,
};
