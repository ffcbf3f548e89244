import type { Design } from '../design.js';
import { call, changed, done, fn, op, record, returnIf, when } from '../statements.js';
import { offsetLifecycle } from './lifecycles.js';
import { offsetFunctions } from './offset.js';

// Source: arch_timer.c of 6.14 and 7.2 (specification §2e). The cached irq.level is gone somewhere in 6.15 to 7.2; what
// is written here is 7.2, with 6.14 where the notes say so.

/** 6.14 to 7.x. */
export const statelessLevelDesign: Design = {
  id: 'stateless-level',
  recognised: 'kvm_get_timer_map with "ev:", no kvm_arm_setup_debug, or a kernel release from 6.14 on',
  visible:
    'as offset, but equal levels in a row say nothing: every evaluation is reported. GICv5 guests get no injection by the vgic.',
  lifecycle: offsetLifecycle,
  shouldFire: 'hardware',
  vgicSamplesLine: true,
  functions: changed(offsetFunctions, [
    fn(
      'load_irq',
      'kvm_timer_vcpu_load_gic',
      { note: 'for a GICv5 guest the interrupt is always active while loaded' },
      [
        call('update_irq', 'x', 'should_fire'),
        when(
          'gicv5',
          [op('dist_active', true)],
          [
            when(
              'active_state',
              [op('dist_active', 'should_fire || vgic_active')],
              [when('should_fire', [op('mask')], [op('unmask')])],
            ),
          ],
        ),
      ],
    ),
    fn('timer_put', 'kvm_timer_vcpu_put', { event: 'timer_put' }, [
      returnIf('!enabled'),
      record('timer_map'),
      call('save', 'direct_vtimer'),
      call('save', 'direct_ptimer'),
      when('nested', [op('soft_cancel', undefined, 'emul_vtimer')]),
      op('soft_cancel', undefined, 'emul_ptimer'),
      when('blocking', [call('blocking')]),
      when('gicv5', [op('dist_active', false, 'direct_vtimer'), op('dist_active', false, 'direct_ptimer')]),
    ]),
    fn('emulate', 'timer_emulate', { note: '6.14 still reports on change only' }, [
      record('emulate'),
      call('update_irq', 'x', 'should_fire'),
      returnIf('should_fire'),
      returnIf('!can_fire'),
      op('soft_arm', 'deadline'),
    ]),
    fn(
      'sync_nested',
      'kvm_timer_sync_nested',
      { event: 'sync', note: 'after each exit of a nested hypervisor without FEAT_ECV; nothing if it is not nested' },
      [
        when('nested', [
          op('soft_cancel', undefined, 'emul_vtimer'),
          op('soft_cancel', undefined, 'emul_ptimer'),
          call('emulate', 'emul_vtimer'),
          call('emulate', 'emul_ptimer'),
        ]),
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
      when('nested', [call('sync_nested')]),
      op('irqs_on'),
      record('exit'),
    ]),
    fn('soft_expire', 'kvm_hrtimer_expire', { event: 'soft_expire' }, [
      when('deadline_ahead', [op('soft_arm', 'deadline'), done]),
      call('update_irq', 'x', true),
    ]),
    fn('update_irq', 'kvm_timer_update_irq', { note: 'no cached level; a GICv5 guest’s interrupt is not injected' }, [
      record('update_irq'),
      when(['in_kernel_irqchip', '!gicv5'], [op('inject', 'new')]),
    ]),
  ]),
};
