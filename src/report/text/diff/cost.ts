import { type Category, costMeanings } from '../../../cost/kinds.js';
import type { CostBasis, CostChange, CostDiff } from '../../../diff/cost/facts.js';
import { counted } from '../../place.js';
import type { TextStyle } from '../finding.js';
import { align, paragraph } from '../layout.js';

/** An operation that a design has at some event and the other never has there is a dash, not a zero. */
function costText(cost: number): string {
  if (cost === 0) return '-';
  return cost >= 100 ? cost.toFixed(0) : cost.toFixed(2);
}

function kindText({ kind }: CostChange): string {
  return costMeanings[kind][0];
}

function arrow({ cost }: CostChange): string[] {
  return [costText(cost.old).padStart(6), '->', costText(cost.new).padStart(6)];
}

/** What differs a run, category by category. */
function perEventLines(changes: readonly CostChange[], { theme }: TextStyle): string[] {
  const told = changes.filter(({ differs }) => differs);
  if (told.length === 0) return [];
  let before: CostChange['per'] | undefined;
  const rows = told.map((change) => {
    const category = change.per === before ? '' : (change.per as Category);
    before = change.per;
    return [`    ${category}`, kindText(change), ...arrow(change)];
  });
  return [theme.dim('  operations a run of the code'), ...align(rows).map((cells) => cells.join('  '))];
}

/** All operations, per tick and per second of guest time side by side; what differs has a star. */
function totalLines(totals: readonly CostChange[], { theme }: TextStyle): string[] {
  const kinds = [...new Set(totals.map(({ kind }) => kind))];
  if (kinds.length === 0) return [];
  const cells = (kind: CostChange['kind'], per: CostChange['per']) => {
    const change = totals.find((one) => one.kind === kind && one.per === per);
    return change === undefined ? ['', '', '', ''] : [...arrow(change), change.differs ? '*' : ' '];
  };
  const rows = kinds.map((kind) => [
    `    ${costMeanings[kind][0]}`,
    ...cells(kind, 'tick'),
    ...cells(kind, 'guest second'),
  ]);
  const aligned = align(rows).map((row) => row.join('  ').trimEnd());
  return [theme.dim('  all operations, per tick of the guest and per second of guest time'), ...aligned];
}

function basisText(side: string, { model, runs, assumed }: CostBasis): string {
  const guards = Object.entries(assumed).map(([guard, count]) => `${guard} in ${count}`);
  const assumptions = guards.length === 0 ? '' : `, assumed ${guards.join(', ')}`;
  return model === null ? `${side}: no model fits` : `${side}: ${model}, ${counted(runs, 'run')}${assumptions}`;
}

/** What the kernel's timer code has to do, by the design that fits each recording. */
export function costLines(diff: CostDiff, style: TextStyle): string[] {
  const differing = [...diff.perEvent, ...diff.totals].filter(({ differs }) => differs).length;
  return [
    `${style.theme.bold('cost')}  ${differing === 0 ? 'nothing differs beyond noise' : counted(differing, 'change')}`,
    ...(differing === 0 ? [] : [...perEventLines(diff.perEvent, style), ...totalLines(diff.totals, style)]),
    ...paragraph(`${basisText('old', diff.old)}; ${basisText('new', diff.new)}`, style.width, '  ').map(
      style.theme.dim,
    ),
  ];
}
