import { CostTable } from '../../cost/table.js';
import type { Host } from '../../machine/machine.js';
import { type Claim, claims } from './claims.js';
import type { DesignOutcome, ModelsDiff } from './facts.js';

/** The claims over several recordings on one kind of host. */
export interface HostTotals {
  readonly host: Host;
  readonly traces: number;
  readonly claims: readonly Claim[];
}

/** Adds up what was counted on each kind of host, and decides the claims by that. */
export function claimsByHost(diffs: readonly ModelsDiff[]): HostTotals[] {
  return (['nvhe', 'vhe'] as const).flatMap((host) => {
    const own = diffs.filter((diff) => diff.host === host);
    if (own.length === 0) return [];
    const first = total(own.map((diff) => diff.first));
    const second = total(own.map((diff) => diff.second));
    return [{ host, traces: own.length, claims: claims(first, second, host) }];
  });
}

function total(outcomes: readonly DesignOutcome[]): Pick<DesignOutcome, 'costs' | 'signals'> {
  const costs = new CostTable();
  for (const outcome of outcomes) costs.merge(outcome.costs);
  const sum = (name: keyof DesignOutcome['signals']) =>
    outcomes.reduce((before, { signals }) => before + signals[name], 0);
  const names = Object.keys(outcomes[0]?.signals ?? {}) as (keyof DesignOutcome['signals'])[];
  const signals = Object.fromEntries(names.map((name) => [name, sum(name)])) as unknown as DesignOutcome['signals'];
  return { costs, signals };
}
