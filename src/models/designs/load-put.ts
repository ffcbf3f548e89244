import type { Design, KernelFunction } from '../design.js';
import { call, changed, done, fn, hyp, op, record, returnIf, when } from '../statements.js';
import { loadPut415Lifecycle, loadPutLifecycle } from './lifecycles.js';

// Source: virt/kvm/arm/arch_timer.c of 4.15.1, 4.19.71 and 5.0 (specification §2c). The affinity is set once, in
// kvm_timer_hyp_init, where the host has a GIC with an active state.

const visible =
  'loads, puts, levels, interrupts, background and soft timer; with probes schedule, unschedule, active state and CNTVOFF. ' +
  'Save and restore have no tracepoint: a load, put, schedule or unschedule implies them. The traps of non-VHE hosts are written at EL2, unseen.';

const functions415: readonly KernelFunction[] = [
  fn('load', 'kvm_arch_vcpu_load', { event: 'load', note: 'for every vcpu ioctl' }, [
    op('set_running', 'vcpu'),
    call('timer_load'),
  ]),
  fn('timer_load', 'kvm_timer_vcpu_load', { event: 'timer_load' }, [
    returnIf('!enabled'),
    when(
      'in_kernel_irqchip',
      [op('dist_active', 'level || vgic_active')],
      [when('level', [op('mask')], [op('unmask')])],
    ),
    hyp('cntvoff', 'vm_offset'),
    call('restore', 'vtimer'),
    call('emulate', 'ptimer'),
  ]),
  fn('put', 'kvm_arch_vcpu_put', { event: 'put' }, [call('timer_put'), op('set_running', 'NULL')]),
  fn('timer_put', 'kvm_timer_vcpu_put', { event: 'timer_put' }, [
    returnIf('!enabled'),
    call('save', 'vtimer'),
    op('soft_cancel', undefined, 'ptimer'),
    hyp('cntvoff', '0'),
  ]),
  fn('save', 'vtimer_save_state', { irqsOff: true }, [
    returnIf('!loaded'),
    when('enabled', [op('rd_ctl'), op('rd_cval')]),
    op('stop'),
    op('isb'),
    op('set_loaded', false),
    record('save'),
  ]),
  fn('restore', 'vtimer_restore_state', { irqsOff: true }, [
    returnIf('loaded'),
    when('enabled', [op('wr_cval'), op('isb'), op('wr_ctl')]),
    op('set_loaded', true),
    record('restore'),
  ]),
  fn(
    'emulate',
    'phys_timer_emulate',
    { note: 'the level of the physical timer is not evaluated again (7afc4ddbf299)' },
    [
      when('should_fire', [op('soft_cancel'), done]),
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
    call('sync'),
    op('irqs_on'),
    record('exit'),
  ]),
  fn('enter', '__timer_enable_traps', { hyp: true }, [when('!vhe', [op('traps', 'guest')])]),
  fn('leave', '__timer_disable_traps', { hyp: true }, [when('!vhe', [op('traps', 'host')])]),
  fn('fold', 'kvm_vgic_sync_hwstate', {}, []),
  fn('sync', 'kvm_timer_sync_hwstate', { event: 'sync', irqsOff: true, note: 'also after an aborted entry' }, [
    when('level', [
      call('refresh', 'vtimer'),
      when('!should_fire', [
        call('update_irq', 'vtimer', false),
        when('in_kernel_irqchip', [when('!vgic_active', [op('dist_active', false)])], [op('unmask')]),
      ]),
    ]),
  ]),
  fn('refresh', 'kvm_timer_sync_hwstate, reading the registers', {}, [op('rd_ctl'), op('rd_cval')]),
  fn('irq', 'kvm_arch_timer_handler', { event: 'vtimer_irq', note: 'the memory copy is left alone (36e5cfd410ad)' }, [
    returnIf('!running'),
    when(['!level', 'hw_firing'], [call('update_irq', 'vtimer', true)]),
    when('!in_kernel_irqchip', [op('mask')]),
  ]),
  fn('schedule', 'kvm_timer_schedule', { event: 'schedule', note: 'preemptible, after halt polling' }, [
    call('save', 'vtimer'),
    returnIf('any_should_fire'),
    returnIf('!any_can_fire'),
    op('bg_arm', 'earliest'),
  ]),
  fn('unschedule', 'kvm_timer_unschedule', { event: 'unschedule' }, [
    call('restore', 'vtimer'),
    op('bg_cancel'),
    op('cancel_work'),
  ]),
  fn('bg_expire', 'kvm_bg_timer_expire', { event: 'bg_expire' }, [
    when('deadline_ahead', [op('bg_arm', 'earliest'), done]),
    op('queue_work'),
  ]),
  fn('bg_work', 'kvm_timer_inject_irq_work', {}, [op('wake_up')]),
  fn('soft_expire', 'kvm_phys_timer_expire', { event: 'soft_expire', basis: 'inferred' }, [
    when('deadline_ahead', [op('soft_arm', 'deadline'), done]),
    call('update_irq', 'ptimer', true),
  ]),
  fn('update_state', 'kvm_timer_update_state', {}, [
    returnIf('!enabled'),
    call('update_level', 'vtimer'),
    call('update_level', 'ptimer'),
  ]),
  fn('update_level', 'kvm_timer_update_state, of one timer', {}, [
    when('output_changed', [call('update_irq', 'x', 'should_fire')]),
  ]),
  fn('update_irq', 'kvm_timer_update_irq', {}, [
    op('set_level', 'new'),
    record('update_irq'),
    when('in_kernel_irqchip', [op('inject', 'new')]),
  ]),
  fn(
    'user_write',
    'kvm_arm_timer_set_reg',
    { event: 'user_write', note: 'the ioctl has loaded the vcpu: its put saves hardware over the value' },
    [op('write_register'), call('update_state')],
  ),
  fn('user_offset', 'kvm_arm_timer_set_reg, KVM_REG_ARM_TIMER_CNT', { event: 'user_write' }, [
    op('write_offset'),
    call('update_state'),
  ]),
  fn(
    'trapped_access',
    'kvm_arm_timer_set_reg of a trapped CNTP access',
    { event: 'trapped_access', basis: 'inferred' },
    [when('writes_register', [op('write_register'), call('update_state'), call('emulate', 'ptimer')])],
  ),
  fn(
    'enable',
    'kvm_timer_enable',
    { event: 'enable', note: 'with preemption off; a full load of the timer (0eb7c33cadf6)' },
    [op('map_irq'), op('set_enabled', true), call('timer_load')],
  ),
  fn('reset', 'kvm_timer_vcpu_reset', { event: 'reset', note: 'the vcpu may be loaded (e761a927bc9a)' }, [
    op('clear_ctl', undefined, 'vtimer'),
    op('clear_ctl', undefined, 'ptimer'),
    call('update_state'),
  ]),
];

/** 4.15. */
export const loadPut415Design: Design = {
  id: 'load-put-4.15',
  recognised: 'interrupt "kvm guest timer" or callback kvm_phys_timer_expire, and kernel release 4.15',
  visible,
  lifecycle: loadPut415Lifecycle,
  shouldFire: 'memory',
  vgicSamplesLine: false,
  functions: functions415,
};

const functions416 = changed(
  functions415,
  [
    fn('load', 'kvm_arch_vcpu_load', { event: 'load', note: 'for KVM_RUN only, from 4.17 on' }, [
      op('set_running', 'vcpu'),
      call('timer_load'),
    ]),
    fn(
      'timer_load',
      'kvm_timer_vcpu_load',
      {
        event: 'timer_load',
        note: 'an expired timer leaves the interrupt inactive: one more interrupt (bae561c0cff7)',
      },
      [
        returnIf('!enabled'),
        when(
          'active_state',
          [when('in_kernel_irqchip', [op('dist_active', 'vgic_active')], [op('dist_active', 'level')])],
          [when('level', [op('mask')], [op('unmask')])],
        ),
        hyp('cntvoff', 'vm_offset'),
        call('restore', 'vtimer'),
        call('emulate', 'ptimer'),
        call('update_level', 'ptimer'),
      ],
    ),
    fn('timer_put', 'kvm_timer_vcpu_put', { event: 'timer_put' }, [
      returnIf('!enabled'),
      call('save', 'vtimer'),
      op('soft_cancel', undefined, 'ptimer'),
      when('!vhe', [hyp('cntvoff', '0')]),
    ]),
    fn('emulate', 'phys_timer_emulate', {}, [
      when('should_fire', [op('soft_cancel'), done]),
      when('!can_fire', [op('soft_cancel'), done]),
      op('soft_arm', 'deadline'),
    ]),
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
    fn(
      'fold',
      'vgic_v3_fold_lr_state',
      { note: 'samples the line through kvm_arch_timer_get_input_level (4c60e360d6df)' },
      [
        when(
          ['lr_pending'],
          [op('vgic_line', 'line', 'vtimer'), when('!hw_firing', [op('dist_active', false, 'vtimer')])],
        ),
      ],
    ),
    fn('sync', 'kvm_timer_sync_hwstate', { event: 'sync', note: 'userspace irqchip only' }, [
      when('!hw_firing', [
        call('update_irq', 'vtimer', false),
        when('active_state', [op('dist_active', false)], [op('unmask')]),
      ]),
    ]),
    fn('irq', 'kvm_arch_timer_handler', { event: 'vtimer_irq', note: 'may report level 1 again' }, [
      returnIf('!running'),
      when('hw_firing', [call('update_irq', 'vtimer', true)]),
      when(['!in_kernel_irqchip', '!active_state'], [op('mask')]),
    ]),
    fn('soft_expire', 'kvm_phys_timer_expire', { event: 'soft_expire' }, [
      when('deadline_ahead', [op('soft_arm', 'deadline'), done]),
      call('update_irq', 'ptimer', true),
    ]),
    fn('update_state', 'kvm_timer_update_state', {}, [
      returnIf('!enabled'),
      call('update_irq', 'vtimer', 'should_fire'),
      call('emulate', 'ptimer'),
      call('update_level', 'ptimer'),
    ]),
    fn(
      'user_write',
      'kvm_arm_timer_set_reg',
      { event: 'user_write', note: 'ISTATUS is stripped; the vcpu is not loaded (4.17)' },
      [op('write_register'), call('update_state')],
    ),
    fn('trapped_access', 'kvm_arm_timer_set_reg of a trapped CNTP access', { event: 'trapped_access' }, [
      when('writes_register', [op('write_register'), call('update_state')]),
    ]),
    fn('enable', 'kvm_timer_enable', { event: 'enable', note: 'before the load' }, [
      op('map_irq'),
      op('set_enabled', true),
    ]),
    fn(
      'reset',
      'kvm_timer_vcpu_reset',
      { event: 'reset', note: 'vgic state is reset since 413aa807ae39, inside a put and load since e761a927bc9a' },
      [
        when('was_loaded', [call('put')]),
        op('clear_ctl', undefined, 'vtimer'),
        op('clear_ctl', undefined, 'ptimer'),
        call('update_state'),
        when('in_kernel_irqchip', [op('vgic_reset', undefined, 'vtimer')]),
        when('was_loaded', [call('load')]),
      ],
    ),
  ],
  ['refresh'],
);

/** 4.16 to 4.20. */
export const loadPut416Design: Design = {
  id: 'load-put-4.16',
  recognised: 'interrupt "kvm guest timer" or callback kvm_phys_timer_expire, and kernel release 4.16 to 4.20',
  visible,
  lifecycle: loadPutLifecycle,
  shouldFire: 'hardware',
  vgicSamplesLine: true,
  functions: functions416,
};

/** 5.0: no work item. */
export const loadPut50Design: Design = {
  id: 'load-put-5.0',
  recognised: 'interrupt "kvm guest timer" or callback kvm_phys_timer_expire, and kernel release 5.0',
  visible,
  lifecycle: loadPutLifecycle,
  shouldFire: 'hardware',
  vgicSamplesLine: true,
  functions: changed(
    functions416,
    [
      fn('unschedule', 'kvm_timer_unschedule', { event: 'unschedule' }, [call('restore', 'vtimer'), op('bg_cancel')]),
      fn('bg_expire', 'kvm_bg_timer_expire', { event: 'bg_expire' }, [
        when('deadline_ahead', [op('bg_arm', 'earliest'), done]),
        op('wake_up'),
      ]),
    ],
    ['bg_work'],
  ),
};
