import { describe, expect, test } from 'vitest';
import { checkText, lines, missing, report, textOf, told } from './recordings.js';

// Selections of events that were once reported as violations, or taken for another kernel's.

const noMap = ['kvm_get_timer_map'];
const noState = [...noMap, 'kvm_timer_save_state', 'kvm_timer_restore_state'];

/** What restores a timer that kvm_timer_schedule has saved. */
const waitEnds = ['kvm_vcpu_wakeup', 'timer_unschedule', 'arch_unblocking', 'vtimer_restore'];

const selections: readonly (readonly [name: string, why: string, without: readonly string[]])[] = [
  ['5.10-nvhe-ptimer', 'which models emulate always is not known', [...noMap, 'vgic_update_irq_pending']],
  ['6.1-nvhe-ptimer', 'no record shows the load', ['kvm_timer_emulate', 'kvm_timer_restore_state']],
  [
    '6.1-nvhe-cntvoff',
    'a timer that starts itself again in the thread of another vcpu',
    ['kvm_userspace_exit', 'irq_handler_entry'],
  ],
  ['6.1-nvhe-ipi', 'a wait that ends without a load', ['kvm_timer_restore_state', 'hrtimer_cancel']],
  ['4.9-nvhe-kp-tickwfi', 'entries are not recorded', ['timer_flush', 'kvm_entry']],
  ['4.14-nvhe-kp-tickwfi', 'reports of the level are not recorded', ['kvm_timer_update_irq']],
  [
    '4.14-nvhe-kp-mixed',
    'flushes alone, without what they report',
    ['kvm_timer_update_irq', 'kvm_entry', 'timer_sync'],
  ],
  ['4.15-nvhe-tickwfi', 'the end of a wait is not recorded', waitEnds],
  ['4.19-nvhe-mixed', 'the end of a wait is not recorded', waitEnds],
  ['5.0-nvhe-mixed', 'the end of a wait is not recorded', waitEnds],
  ['4.15-nvhe-mixed', '4.15 and 4.16 enable a timer each its own way', ['vgic_update_irq_pending', 'vtimer_restore']],
  [
    '4.15-nvhe-tickwfi',
    'nothing shows that 4.15 loads a timer as it enables it',
    ['vgic_update_irq_pending', 'vtimer_restore', 'timer_load'],
  ],
  ['4.19-nvhe-tickwfi', 'the load is that of the restore', ['timer_load', 'vcpu_load', 'update_irq']],
  ['5.0-nvhe-tickwfi', 'the load is that of the restore', ['timer_load', 'vcpu_load', 'vcpu_put']],
];

/** Without the names that tell a generation, levels and what lowers them are left: not enough for a model. */
const notOld: readonly (readonly [name: string, without: readonly string[]])[] = [
  ['6.1-vhe-ptimer', [...noState, 'sched_switch', 'kvm_userspace_exit']],
  ['5.10-nvhe-ptimer', noState],
  ['7.2-vhe-mixed', [...noState, 'irq_handler_entry']],
  ['4.15-nvhe-mixed', ['hrtimer_cancel', 'hrtimer_start', 'kvm_entry', 'sched_switch']],
];

const without = (name: string, kinds: readonly string[]) =>
  textOf(lines(report(name, '-N')).filter((line) => !kinds.includes(line.event)));

describe.skipIf(missing !== undefined)(`a selection of the events is no violation (${missing ?? 'recordings'})`, () => {
  test.each(selections)('%s: %s', async (name, _, kinds) => {
    expect(told(await checkText(without(name, kinds)))).toEqual([]);
  });

  test.each(notOld)('%s without %s is not taken for 4.14', async (name, kinds) => {
    const summary = await checkText(without(name, kinds));
    expect(summary.model.id).not.toBe('world-switch');
    expect(told(summary)).toEqual([]);
  });

  // `-f` of trace-cmd: of the lines of some events only those that match.
  test.each([
    ['the interrupts of the virtual timer', /kvm_timer_update_irq/, /IRQ 27,/],
    ['the hrtimers of KVM', /hrtimer_(start|expire_entry)/, /function=kvm_/],
    ['the armings of KVM', /hrtimer_start/, /function=kvm_/],
    ['the switches of vcpus', /sched_switch/, /KVM|vmm/],
    ['the switches to vcpus', /sched_switch/, /==>.*(KVM|vmm)/],
    ['the maps of one vcpu', /kvm_get_timer_map/, /VCPU: 0,/],
    ['the host interrupts of the virtual timer', /irq_handler_e/, /name=kvm|irq=11\b/],
  ])('only %s', async (_, event, kept) => {
    let dropped = 0;
    for (const name of ['5.10-vhe-tickwfi', '6.1-vhe-mixed', '6.1-nvhe-overcommit', '7.2-vhe-tickwfi']) {
      const all = lines(report(name, '-N', '-t'));
      const some = all.filter((line) => !new RegExp(`^${event.source}`).test(line.event) || kept.test(line.text));
      dropped += all.length - some.length;
      expect([name, ...told(await checkText(textOf(some)))]).toEqual([name]);
    }
    expect(dropped).toBeGreaterThan(500);
  });

  // A vcpu goes on where nothing is recorded.
  test.each([
    ['4.14-nvhe-tickwfi', 1],
    ['4.15-nvhe-mixed', 0],
    ['5.0-nvhe-mixed', 0],
    ['5.0-nvhe-mixed', 1],
    ['6.1-nvhe-overcommit', 0],
    ['7.2-vhe-mixed', 0],
  ] as const)('%s: only CPU %d, in nanoseconds', async (name, cpu) => {
    const all = lines(report(name, '-N', '-t'));
    // As far as a recording that was stopped in the middle: the end tells as well.
    const kept = all.slice(0, 40_000).filter((line) => line.cpu === cpu || line.cpu < 0);
    expect(told(await checkText(textOf(kept)))).toEqual([]);
  });
});
