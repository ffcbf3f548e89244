import type { Design } from '../design.js';
import { call, changed, fn, hyp, op, record, returnIf, when } from '../statements.js';
import { offsetLifecycle } from './lifecycles.js';
import { timerMapFunctions } from './timer-map.js';

// Source: arch_timer.c of 6.6 and 6.12 (specification §2e): offsets belong to the VM, and CNTVOFF_EL2 to the save and
// restore of the virtual timer.

export const offsetFunctions = changed(timerMapFunctions, [
  fn(
    'timer_load',
    'kvm_timer_vcpu_load',
    { event: 'timer_load', note: 'with a nested hypervisor the map may have changed: the vgic mapping moves with it' },
    [
      returnIf('!enabled'),
      record('timer_map'),
      call('load_irq', 'direct_vtimer'),
      call('load_irq', 'direct_ptimer'),
      call('unblocking'),
      call('restore', 'direct_vtimer'),
      call('restore', 'direct_ptimer'),
      when('nested', [call('emulate', 'emul_vtimer')]),
      call('emulate', 'emul_ptimer'),
      when('vhe', [call('set_traps')]),
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
  ]),
  fn('save', 'timer_save_state', { irqsOff: true, note: 'the physical timer’s CVAL is corrected by its offset' }, [
    returnIf('!enabled'),
    returnIf('!loaded'),
    op('rd_ctl'),
    op('rd_cval'),
    op('stop'),
    op('isb'),
    record('save'),
    op('set_loaded', false),
    call('set_offset', 'x', '0'),
  ]),
  fn('restore', 'timer_restore_state', { irqsOff: true, note: 'the offset comes before CVAL' }, [
    returnIf('!enabled'),
    returnIf('loaded'),
    call('set_offset', 'x', 'offset'),
    op('wr_cval'),
    op('isb'),
    op('wr_ctl'),
    record('restore'),
    op('set_loaded', true),
  ]),
  fn(
    'set_offset',
    'set_cntvoff, set_cntpoff',
    { note: 'CNTPOFF_EL2 for the physical timer on VHE hosts that have it' },
    [when('virtual', [hyp('cntvoff', 'new')], [when('cntpoff', [op('cntpoff', 'new')])])],
  ),
  fn(
    'set_traps',
    'timer_set_traps',
    {
      note: 'VHE; non-VHE hosts write it at EL2 around every entry. From 6.14 on also what nested guests need, and the virtual timer on a CPU whose CNTVOFF_EL2 does not work',
    },
    [when('physical_offset', [op('traps', 'guest')], [op('traps', 'host')])],
  ),
  fn('emulate', 'timer_emulate', { note: 'returns after a change of the level: no soft timer (b450dcce93bc)' }, [
    record('emulate'),
    when('output_changed', [call('update_irq', 'x', 'should_fire'), { return: true }]),
    returnIf('should_fire'),
    returnIf('!can_fire'),
    op('soft_arm', 'deadline'),
  ]),
  fn('trapped_access', 'kvm_arm_timer_write_sysreg', { event: 'trapped_access', note: 'preemption off' }, [
    when('direct', [call('save')], [op('soft_cancel')]),
    when('writes_register', [op('write_register')]),
    when('direct', [call('restore')], [call('emulate')]),
  ]),
]);

/** 6.4 to 6.13. */
export const offsetDesign: Design = {
  id: 'offset',
  recognised: 'kvm_get_timer_map with "ev:", and kvm_arm_setup_debug or a kernel release up to 6.13',
  visible:
    'every save and restore with CTL and CVAL as the guest sees them, every map, report and evaluation; loads and puts follow from them. ' +
    'CNTVOFF is written in save and restore; register reads that the hypervisor answers itself leave no record.',
  lifecycle: offsetLifecycle,
  shouldFire: 'hardware',
  vgicSamplesLine: true,
  functions: offsetFunctions,
};
