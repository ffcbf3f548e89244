import { type Category, type CostKind, categories, costGroups, costKinds, costMeanings } from '../../cost/kinds.js';
import { exceptionClassNames, exitCodeNames } from '../../events/exceptions.js';
import { Count, latencyNames as measuredLatencies } from '../../stats/cell.js';
import { steps } from '../behaviour/step.js';

/** Names of what can be counted: each step of the behaviour. */
export const eventNames: readonly string[] = [...new Set(steps.map(({ name }) => name))];

/** Names that people use for steps. */
export const synonyms: Readonly<Record<string, string>> = { exits: 'exit', entries: 'entry', interrupts: 'vtimer_irq' };

/** Interrupts by where they find the vcpu, and by what they do. */
export const interruptCounts: Readonly<Record<string, Count>> = {
  'interrupts in the guest': Count.interruptsInGuest,
  'interrupts while loaded': Count.interruptsLoaded,
  'late interrupts': Count.interruptsLate,
  'spurious interrupts': Count.interruptsSpurious,
};

const reasons = [...exitCodeNames.filter((name) => name !== 'TRAP'), ...exceptionClassNames.values()];

/** Whether a reason of exits, `TRAP WFx`, is what a rate names: `exits WFx`. */
export function isReason(rate: string, reason: string): boolean {
  return rate.startsWith('exits ') && reason.split(' ').includes(rate.slice('exits '.length));
}

/** What a rate may be of. */
export const rateNames: readonly string[] = [
  ...Object.keys(synonyms),
  ...Object.keys(interruptCounts),
  ...eventNames,
  ...[...new Set(reasons)].map((reason) => `exits ${reason}`),
];

/** Groups of operations that hardware has to do; the rest is the kernel's bookkeeping. */
const hardware: readonly string[] = [
  'register read',
  'register write',
  'barrier',
  'hypercall',
  'distributor write',
  'affinity',
  'hrtimer',
];

/** The kinds of operation that a cost names: one, those of a group, or `all` that hardware and hrtimers have to do. */
export function costKindsOf(name: string): readonly CostKind[] {
  return costKinds.filter((kind) => {
    const group = costMeanings[kind][1];
    return name === 'all' ? hardware.includes(group) : name === kind || name === group;
  });
}

/** What a cost may be of. */
export const costNames: readonly string[] = [...new Set(['all', ...costGroups, ...costKinds])];

/** When operations happen. */
export const categoryNames: readonly Category[] = categories;

/** Latencies, as the command line and files name them: `deadline-to-entry`; in the order of `stats`. */
export const latencyNames: readonly string[] = measuredLatencies.map((name) =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
);

/** A latency's name as the sections of a diff have it. */
export function latencyKey(name: string): string {
  return measuredLatencies[latencyNames.indexOf(name)]!;
}
