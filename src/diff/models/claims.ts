import type { CostTable } from '../../cost/table.js';
import type { Host } from '../../machine/machine.js';
import type { Signals } from './count.js';

/** What the message of [RFC PATCH 5/7] promises of its design. */
export const claimTexts = {
  'no-cntvoff-per-trip': 'no CNTVOFF write on every entry and exit',
  'no-traps-per-trip-vhe': 'no trap configuration on every trip on VHE',
  'timer-left-running': 'the timer is left running on exit',
  'injected-from-handler': 'its interrupt is injected from the handler',
  'no-active-write-at-entry': 'no active-state write to the distributor on entry',
} as const;

export type ClaimId = keyof typeof claimTexts;

/**
 * `holds`: the first design does it and the second does not (or the other way round, where the claim asks for that).
 * `held-before`: neither did. `fails`: the second design does not keep it. `not-claimed`: nothing is claimed of such a
 * host. `undecided`: the recording has no occasion.
 */
export const claimStatuses = ['holds', 'held-before', 'fails', 'not-claimed', 'undecided'] as const;

export type ClaimStatus = (typeof claimStatuses)[number];

export interface Claim {
  readonly id: ClaimId;
  readonly status: ClaimStatus;
  /** What was counted, of how many: the operations that the claim is about, and their occasions. */
  readonly first: Figure;
  readonly second: Figure;
  /** What the occasions are. */
  readonly per: string;
}

export interface Figure {
  readonly count: number;
  readonly of: number;
}

interface Counted {
  readonly costs: CostTable;
  readonly signals: Signals;
}

/** Decides the claims by what was counted. */
export function claims(first: Counted, second: Counted, host: Host): readonly Claim[] {
  const trips = ({ costs }: Counted) => costs.events('entry') + costs.events('exit');
  const perTrip = (kind: 'cntvoff_write' | 'cnthctl_update') => (counted: Counted) => ({
    count: counted.costs.operations('entry', kind) + counted.costs.operations('exit', kind),
    of: trips(counted),
  });
  const atExit = ({ costs }: Counted) => ({ count: costs.operations('exit', 'ctl_write'), of: costs.events('exit') });
  const atEntry = ({ costs }: Counted) => ({
    count: costs.operations('entry', 'active_write'),
    of: costs.events('entry'),
  });
  const byHandler = ({ signals }: Counted) => ({ count: signals.raisedByHandler, of: signals.raised });
  const claim = (id: ClaimId, per: string, figure: (counted: Counted) => Figure, status: typeof isGone): Claim => {
    const figures = { first: figure(first), second: figure(second) };
    return { id, per, ...figures, status: status(figures.first, figures.second) };
  };
  return [
    claim('no-cntvoff-per-trip', 'entries and exits', perTrip('cntvoff_write'), isGone),
    claim('no-traps-per-trip-vhe', 'entries and exits', perTrip('cnthctl_update'), (before, after) =>
      host === 'vhe' ? isGone(before, after) : 'not-claimed',
    ),
    claim('timer-left-running', 'exits stop it', atExit, isGone),
    claim('injected-from-handler', 'reports of a high level', byHandler, isNew),
    claim('no-active-write-at-entry', 'entries', atEntry, isGone),
  ];
}

/** Nothing of it is left. */
function isGone(before: Figure, after: Figure): ClaimStatus {
  if (before.of === 0 || after.of === 0) return 'undecided';
  if (after.count > 0) return 'fails';
  return before.count > 0 ? 'holds' : 'held-before';
}

/** It is done now, and that mostly. */
function isNew(before: Figure, after: Figure): ClaimStatus {
  if (before.of === 0 || after.of === 0) return 'undecided';
  if (after.count * 2 <= after.of) return 'fails';
  return before.count * 2 <= before.of ? 'holds' : 'held-before';
}
