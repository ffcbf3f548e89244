import type { Diff, DivergentSide } from '../../../diff/facts.js';
import { counted, placeWords } from '../../place.js';
import { changedStateLines, eventLines, type TextStyle } from '../finding.js';
import { labelled } from '../layout.js';

/** What one recording does there, of how many times. */
function pathWords({ path, usual, times, of }: DivergentSide, isCounted: boolean): string {
  const steps = (words: readonly string[]) => words.join(' > ');
  if (path === null) return usual === null ? 'never comes to this' : `not here; elsewhere mostly ${steps(usual)}`;
  return isCounted ? `${steps(path)}  (${times} of ${of} times)` : steps(path);
}

/** When and where, the events before and at the place, and the state. */
function sideLines(name: string, side: DivergentSide, path: string, style: TextStyle): string[] {
  const { theme, width } = style;
  const where = `${side.since.toFixed(6)} s after its start, ${side.time}, ${placeWords(path, side.position)}`;
  return [
    ...labelled(`${name} at`, where, width),
    ...eventLines(side.events, style),
    ...changedStateLines(side, '', style).map((line, index) => (index === 0 ? line : theme.dim(line))),
  ];
}

/** Where the two first behave differently, or why that cannot be told. */
export function divergenceLines({ divergence, old, new: next }: Diff, style: TextStyle): string[] {
  const { theme, width } = style;
  const { alignment, first, rare, level } = divergence;
  const { because, leftOut, complete, vcpus, aligned } = alignment;
  const facts = [because];
  if (aligned && !complete) facts.push('compared as far as memory allows, not to the end');
  if (aligned && vcpus.some(({ by }) => by === 'steps')) facts.push('vcpus matched by what their guests do');
  if (aligned && leftOut.length > 0) facts.push(`not recorded alike and left out: ${leftOut.join(', ')}`);
  if (rare > 0) facts.push(`${counted(rare, 'path')} of one recording only may be chance, at level ${level}`);
  const lines = labelled(aligned ? 'aligned' : 'because', facts.join('; '), width);
  if (first === null) return [theme.bold(`first divergence  ${aligned ? 'none' : 'not to be told'}`), ...lines];
  const vcpu = vcpus[first.vcpu]!.old;
  const who = `vcpu ${vcpu.id < 0 ? '?' : vcpu.id} of VM ${vcpu.vm}`;
  const what = {
    path: first.at,
    values: `${first.at}, with other values`,
    step: `another step instead of ${first.at}`,
  };
  const isCounted = first.chance !== null;
  return [
    theme.bold(`first divergence  ${what[first.kind]}, ${who}, after ${counted(first.after, 'guest step')}`),
    ...lines,
    ...labelled('old', pathWords(first.old, isCounted), width),
    ...labelled('new', pathWords(first.new, isCounted), width),
    ...sideLines('old', first.old, old.path, style),
    ...sideLines('new', first.new, next.path, style),
  ];
}
