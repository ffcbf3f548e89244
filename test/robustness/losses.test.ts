import { describe, expect, test } from 'vitest';
import {
  checkText,
  type Line,
  lines,
  lose,
  marks,
  missing,
  random,
  report,
  type Stretch,
  stock,
  textOf,
  told,
} from './recordings.js';

// What a user does not record and what a recorder loses come together: then less is known than either alone leaves.

/** How a part of a recording gets lost, applied to what is left of the kinds. Places are indices into that. */
interface Damage {
  /** Lines of the recording, all of them without it. */
  readonly part?: readonly [from: number, count: number];
  readonly without: readonly string[];
  readonly lost?: readonly Stretch[];
  /** The only CPU with a buffer. */
  readonly only?: number;
  /** A CPU whose buffer begins at a line, or ends behind an entry. */
  readonly late?: { readonly cpu: number; readonly at: number };
  readonly early?: { readonly cpu: number; readonly at: number };
}

function damaged(whole: readonly Line[], { part, without, lost, only, late, early }: Damage): readonly Line[] {
  let kept = part === undefined ? whole : whole.slice(part[0], part[0] + part[1]);
  kept = kept.filter(({ event }) => !without.includes(event));
  if (lost !== undefined) kept = lose(kept, lost, marks[0]);
  if (only !== undefined) kept = kept.filter(({ cpu }) => cpu === only || cpu < 0);
  if (late !== undefined) kept = kept.filter(({ cpu }, index) => cpu !== late.cpu || index >= late.at);
  if (early !== undefined) kept = kept.filter(({ cpu }, index) => cpu !== early.cpu || index <= early.at);
  return kept;
}

/** What was once taken for a violation. */
const once: readonly (readonly [name: string, why: string, damage: Damage])[] = [
  [
    '4.14-nvhe-mixed',
    'a vcpu goes where nothing shows that it leaves its CPU',
    {
      part: [18015, 15000],
      without: ['kvm_userspace_exit', 'kvm_entry', 'kvm_set_spte_hva', 'hrtimer_start', 'sched_switch'],
      lost: [
        { from: 1989, cpu: 0, count: 29 },
        { from: 657, cpu: 0, count: 37 },
      ],
    },
  ],
  [
    '4.9-nvhe-mixed',
    'the CPU of an entry is that of the vcpu',
    {
      part: [5433, 15000],
      without: [
        ...['kvm_guest_fault', 'hrtimer_expire_entry', 'sched_switch'],
        ...['kvm_wfx_arm64', 'kvm_timer_update_irq'],
      ],
      lost: [{ from: 1238, cpu: 0, count: 1 }],
    },
  ],
  [
    '4.14-nvhe-mixed',
    'without switches one CPU alone proves nothing',
    { part: [16255, 15000], without: ['sched_switch'], lost: [{ from: 3650, cpu: 0, count: 1244 }] },
  ],
  [
    '6.1-nvhe-gicv2-mixed',
    'a callback, and the save after the next',
    {
      part: [477, 15000],
      without: ['vgic_update_irq_pending', 'kvm_hvc_arm64', 'kvm_timer_restore_state'],
      lost: [{ from: 4996, cpu: 0, count: 23 }],
    },
  ],
  [
    '5.10-nvhe-mixed',
    'a background timer fires on the other CPU, and nothing shows puts',
    { part: [16470, 8000], without: ['kvm_timer_save_state', 'sched_switch'], only: 0 },
  ],
  [
    '6.1-nvhe-overcommit',
    'the first record of a vcpu is a save',
    { part: [20599, 15000], without: ['kvm_hvc_arm64'], only: 0 },
  ],
  [
    '5.10-nvhe-cntvoff',
    'a sleep that the other CPU ends',
    {
      part: [0, 15000],
      without: ['kvm_arm_clear_debug', 'hrtimer_start', 'kvm_entry', 'kvm_userspace_exit'],
      only: 0,
    },
  ],
  [
    '6.1-nvhe-cntvoff',
    'a background timer armed by a vcpu whose load was not seen',
    {
      without: [
        ...['kvm_timer_update_irq', 'kvm_arm_setup_debug', 'kvm_wfx_arm64'],
        ...['kvm_get_timer_map', 'kvm_timer_restore_state'],
      ],
      only: 0,
    },
  ],
  [
    '4.14-nvhe-kp-mixed',
    'registers that the guest has written on the other CPU',
    { part: [2767, 15000], without: ['timer_flush', 'kvm_halt_poll_ns', 'vcpu_load'], only: 0 },
  ],
  [
    '4.9-nvhe-kp-overcommit',
    'a vcpu that was reset here and ran on the other CPU',
    { without: ['inject_work', 'timer_flush', 'kvm_arm_clear_debug'], only: 0 },
  ],
  [
    '4.9-nvhe-kp-cntvoff',
    'userspace writes between two puts of which only the timer is probed',
    { part: [5491, 3000], without: ['kvm_userspace_exit', 'vcpu_put', 'vcpu_load', 'timer_expire'] },
  ],
  [
    '4.14-nvhe-kp-mixed',
    'a busy CPU whose buffer ends shortly before the other',
    { without: ['set_cntvoff'], early: { cpu: 0, at: 47213 } },
  ],
  [
    '5.10-nvhe-kp-mixed',
    'a busy CPU whose buffer ends shortly before the other',
    { part: [865, 3000], without: ['timer_load', 'kvm_mmio', 'kvm_set_spte_hva'], early: { cpu: 0, at: 2445 } },
  ],
  [
    '4.15-nvhe-tickwfi',
    'loads that follow from a restore, and ioctls of the first thread that only the restore shows',
    { without: ['vcpu_load', 'timer_load'], lost: [{ from: 11470, cpu: 0, count: 1924 }] },
  ],
  [
    '4.19-nvhe-tickwfi',
    'an active state that seems to be written by an interrupt',
    { part: [10695, 3000], without: ['irq_handler_exit', 'vcpu_load', 'timer_load'] },
  ],
  [
    '6.1-nvhe-overcommit',
    'a sleep of which only an exit shows the end',
    {
      part: [20267, 15000],
      without: ['kvm_vcpu_wakeup', 'kvm_timer_restore_state', 'hrtimer_expire_entry', 'kvm_entry'],
      late: { cpu: 0, at: 2817 },
    },
  ],
  [
    '6.1-nvhe-ptimer',
    'a soft timer that somebody has armed',
    {
      without: ['kvm_mmio', 'vgic_update_irq_pending', 'kvm_timer_restore_state'],
      late: { cpu: 0, at: 5562 },
    },
  ],
];

/** A damage of a part of a recording, the same for the same numbers. */
function anyDamage(whole: readonly Line[], next: (below: number) => number): Damage {
  const count = 1500 + next(6000);
  const part = [next(Math.max(1, whole.length - count)), count] as const;
  const excerpt = whole.slice(part[0], part[0] + count);
  const kinds = [...new Set(excerpt.map(({ event }) => event))].filter((event) => event !== '').sort();
  const without = Array.from({ length: 1 + next(5) }, () => kinds[next(kinds.length)] as string);
  const left = excerpt.filter(({ event }) => !without.includes(event)).length;
  // The last third stays: a loss at the very end leaves no mark.
  const stretch = () => ({
    from: 1 + next(Math.floor(left * 0.6)),
    cpu: next(2),
    count: 1 + next(next(3) > 0 ? 40 : 400),
  });
  const cpu = next(2);
  switch (next(3)) {
    case 0:
      return { part, without, only: cpu };
    case 1:
      return { part, without, late: { cpu, at: next(left) } };
    default:
      return { part, without, lost: Array.from({ length: 1 + next(5) }, stretch) };
  }
}

describe.skipIf(missing !== undefined)(`losses of a selection are no violation (${missing ?? 'recordings'})`, () => {
  test.each(once)('%s: %s', async (name, _, damage) => {
    expect(told(await checkText(textOf(damaged(lines(report(name, '-N')), damage))))).toEqual([]);
  });

  test.each(stock)('%s: any kinds missing, and any losses', async (name) => {
    const whole = lines(report(name, '-N'));
    const next = random(19);
    const alarms: Record<string, string[]> = {};
    for (let i = 0; i < 24; i++) {
      const damage = anyDamage(whole, next);
      const found = told(await checkText(textOf(damaged(whole, damage))));
      if (found.length > 0) alarms[JSON.stringify(damage)] = found;
    }
    expect(alarms).toEqual({});
  });
});
