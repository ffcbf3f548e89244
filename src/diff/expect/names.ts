import { steps } from '../behaviour/step.js';

/** Names of what can be counted: each step of the behaviour. */
export const eventNames: readonly string[] = [...new Set(steps.map(({ name }) => name))];

/** Names that people use for steps. */
export const synonyms: Readonly<Record<string, string>> = {
  exits: 'exit',
  entries: 'entry',
  interrupts: 'vtimer_irq',
  ticks: 'update_irq 1',
};

/** What a rate may be of. */
export const rateNames: readonly string[] = [...Object.keys(synonyms), ...eventNames];

/** What a cost may be of. */
export const costNames: readonly string[] = ['all'];

/** When operations happen. */
export const categoryNames: readonly string[] = ['entry', 'exit', 'load', 'put'];

/** Latencies, as the command line and files name them: `deadline-to-entry`. */
export const latencyNames: readonly string[] = ['deadline-to-entry'];
