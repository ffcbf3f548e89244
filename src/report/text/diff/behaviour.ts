import type { BehaviourDiff, PathChange, PlacementChange, RateChange, Role } from '../../../diff/behaviour/facts.js';
import { type Comparison, level, testNames } from '../../../diff/noise/level.js';
import { counted } from '../../place.js';
import type { TextStyle } from '../finding.js';
import { align, paragraph } from '../layout.js';

/** Most rows of each table; JSON has all. */
const mostRows = 12;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const rateText = (rate: number): string => (rate >= 100 ? rate.toFixed(0) : rate.toPrecision(3));

/** How much a rate has changed, as people say it. */
function changeText({ old, new: next }: Comparison): string {
  if (old === 0) return 'new';
  if (next === 0) return 'gone';
  const factor = next / old;
  return factor >= 2 ? `x ${factor.toPrecision(3)}` : `${factor >= 1 ? '+' : ''}${(100 * (factor - 1)).toFixed(0)} %`;
}

function roleText(role: Role | null): string {
  if (role === null) return 'all';
  const name = ({ vm, id }: Role['old']) => `${vm}/${id}`;
  const [old, next] = [name(role.old), name(role.new)];
  return old === next ? `vcpu ${old}` : `vcpu ${old}, now ${next}`;
}

/** A table of which the first rows are shown, and the number of the others. */
function table(title: string, rows: readonly (readonly string[])[], { theme }: TextStyle): string[] {
  if (rows.length === 0) return [];
  const left = rows.length - mostRows;
  return [
    theme.dim(`  ${title}`),
    ...align(rows.slice(0, mostRows)).map((cells) => `    ${cells.join('  ').trimEnd()}`),
    ...(left > 0 ? [theme.dim(`    and ${left} more, see --format json`)] : []),
  ];
}

function rateRow({ role, what, per, rate }: RateChange): string[] {
  return [roleText(role), `${what} per ${per}`, rateText(rate.old), '->', rateText(rate.new), changeText(rate)];
}

function placementRow({ role, step, anchor, share }: PlacementChange): string[] {
  return [roleText(role), step, `after ${anchor}`, percent(share.old), '->', percent(share.new)];
}

/** A path hangs behind its figures: it may be long. */
function pathLines({ role, steps, share }: PathChange, width: number): string[] {
  const start = `    ${percent(share.old).padStart(7)} -> ${percent(share.new).padStart(7)}  `;
  const who = role === null ? '' : `${roleText(role)}: `;
  return paragraph(`${who}${['entry', ...steps, 'entry'].join(', ')}`, width, ' '.repeat(start.length), start);
}

function pathsLines(paths: readonly PathChange[], { theme, width }: TextStyle): string[] {
  if (paths.length === 0) return [];
  const left = paths.length - mostRows;
  return [
    theme.dim('  paths from one entry to the next, share of all trips'),
    ...paths.slice(0, mostRows).flatMap((path) => pathLines(path, width)),
    ...(left > 0 ? [theme.dim(`    and ${left} more, see --format json`)] : []),
  ];
}

/** What is not compared, and why, kinds with the same reason together. */
function notComparedLines({ notCompared }: BehaviourDiff, { width }: TextStyle): string[] {
  const reasons = new Map<string, string[]>();
  for (const { kind, side, why, old, new: next } of notCompared) {
    const reason = `in the ${side} recording ${why}`;
    reasons.set(reason, [...(reasons.get(reason) ?? []), `${kind} (${old} -> ${next})`]);
  }
  return [...reasons].flatMap(([reason, kinds]) =>
    paragraph(`not compared: ${kinds.join(', ')}: ${reason}`, width, '    ', '  '),
  );
}

/** What the vcpus do differently. */
export function behaviourLines(behaviour: BehaviourDiff, style: TextStyle): string[] {
  const { rates, placements, paths, sequences } = behaviour;
  const changes = rates.length + placements.length + paths.length + sequences.length;
  const test = `${testNames.ratio}; ${testNames.family}, level ${100 * level} %`;
  return [
    `${style.theme.bold('behaviour')}  ${changes === 0 ? 'nothing differs beyond noise' : counted(changes, 'change')}`,
    ...table('how often', rates.map(rateRow), style),
    ...table('where, share of each', placements.map(placementRow), style),
    ...pathsLines(paths, style),
    ...table(
      'what follows what, share of what follows',
      sequences.map(({ role, step, next, share }) => [
        roleText(role),
        step,
        `then ${next}`,
        percent(share.old),
        '->',
        percent(share.new),
      ]),
      style,
    ),
    ...notComparedLines(behaviour, style),
    ...(changes === 0 ? [] : paragraph(`test: ${test}`, style.width, '  ').map(style.theme.dim)),
  ];
}
