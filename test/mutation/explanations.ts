import type { Score } from './score.js';

/** Why no rule names a mutant: what a trace cannot show, or what does no harm. The first that fits counts. */
export interface Explanation {
  readonly reason: string;
  fits(score: Score): boolean;
}

const effect = (pattern: RegExp) => (score: Score) => pattern.test(score.mutant.effect);
const role =
  (...roles: string[]) =>
  (score: Score) =>
    roles.includes(score.mutant.role);
const mutation = (name: string) => (score: Score) => score.mutant.mutation === name;
const fate = (name: string) => (score: Score) => score.fate === name;
const all =
  (...tests: ((score: Score) => boolean)[]) =>
  (score: Score) =>
    tests.every((test) => test(score));
const any =
  (...tests: ((score: Score) => boolean)[]) =>
  (score: Score) =>
    tests.some((test) => test(score));

export const explanations: readonly Explanation[] = [
  {
    reason: 'a barrier leaves no record; that it is missing shows only on hardware that is late',
    fits: effect(/^isb$/),
  },
  {
    reason: 'written at EL2 by the world switch, where no tracepoint or probe of the host is',
    fits: all(fate('same'), any(effect(/CNTHCTL|_traps\(/), role('set_traps'))),
  },
  {
    reason: 'a nested hypervisor, which the driver has not',
    fits: all(fate('not executed'), any(effect(/emul_vtimer/), role('sync_nested'), effect(/sync_nested/))),
  },
  {
    reason: 'a GICv5 guest, CNTPOFF_EL2 or a physical offset, which the driver has not',
    fits: all(
      fate('not executed'),
      any(
        effect(/CNTPOFF/),
        role('set_traps'),
        effect(/active\(x\) := true/),
        effect(/active\(direct_/),
        all(role('trapped_access'), effect(/^timer_(save|restore)_state/)),
      ),
    ),
  },
  {
    reason: 'a userspace irqchip, or a host without a usable active state, which the driver has not',
    fits: all(
      fate('not executed'),
      any(effect(/_percpu_irq/), effect(/sync_(user|hwstate)/), role('sync', 'timer_load')),
    ),
  },
  {
    reason: 'W4: the registers are read over what userspace wrote, so that output and level do not differ there',
    fits: all(fate('not executed'), role('update_state')),
  },
  {
    reason: 'done twice in a row it leaves every record as it is',
    fits: all(fate('same'), mutation('doubled')),
  },
  {
    reason: 'done twice in a row it leaves the same state: it costs, and costs are compared, not judged',
    fits: mutation('doubled'),
  },
  {
    reason: 'the two effects do not depend on each other, and no record tells their order',
    fits: all(fate('same'), mutation('swapped')),
  },
  {
    reason: 'two timers whose order is of no consequence',
    fits: all(mutation('swapped'), effect(/\((direct_vtimer|direct_ptimer)\)$/), role('timer_load', 'timer_put')),
  },
  {
    reason: 'the map of virtual to physical interrupts belongs to the vgic, which records nothing of it',
    fits: effect(/map virtual to physical/),
  },
  {
    reason: 'the vgic records nothing of its own reset',
    fits: all(fate('same'), effect(/reset the mapped interrupt/)),
  },
  {
    reason: 'the driver resets no vcpu whose physical timer runs in the background',
    fits: all(fate('same'), role('reset')),
  },
  {
    reason: 'it moves within one function or between two that follow each other without a record between them',
    fits: all(fate('same'), mutation('misplaced')),
  },
];
