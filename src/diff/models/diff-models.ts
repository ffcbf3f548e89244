import { check } from '../../check/check.js';
import type { CheckOptions } from '../../check/facts.js';
import type { Naming } from '../../check/findings.js';
import type { Input } from '../../check/read.js';
import { type ModelId, modelIds } from '../../models/model.js';
import { rules } from '../../rules/index.js';
import { Comparison } from './comparison.js';
import type { ModelsDiffFact } from './facts.js';

/** Options of `diffModels`. */
export interface ModelsDiffOptions extends Pick<CheckOptions, 'inputFormat'> {
  /** The model of the kernel that recorded the traces, instead of the one that they show. */
  readonly recorded?: string;
  /** Kind of host on which both designs are run; default: the one that recorded. */
  readonly host?: 'vhe' | 'nvhe';
}

/**
 * Shows what the guests, the scheduler and userspace of recordings did to two designs of the timer code, and compares what
 * these make of it: operations, interrupts and levels, hazards, the first divergence. Memory does not grow with a trace.
 *
 * @param models the design to compare with, and the one to compare
 * @throws RangeError for a model or an option whose value does not exist
 */
export async function* diffModels(
  inputs: readonly Input[],
  models: readonly [first: string, second: string],
  options: ModelsDiffOptions = {},
): AsyncGenerator<ModelsDiffFact, void, undefined> {
  for (const model of models)
    if (!(modelIds as readonly string[]).includes(model))
      throw new RangeError(`unknown model '${model}': expected one of ${modelIds.join(', ')}`);
  const { recorded, host, inputFormat } = options;
  let comparison: Comparison | undefined;
  const observe = (naming: Naming) => {
    comparison = new Comparison(models as readonly [ModelId, ModelId], host, naming);
    return comparison;
  };
  const off = Object.fromEntries(rules.map(({ id }) => [id, 'off' as const]));
  const settings = {
    ...(recorded !== undefined && { model: recorded }),
    ...(inputFormat !== undefined && { inputFormat }),
  };
  for await (const fact of check(inputs, { ...settings, rules: off, observe }))
    yield fact.type === 'trace-end' ? { ...fact, diff: (comparison as Comparison).result() } : fact;
}
