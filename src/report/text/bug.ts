import { bugWords, type KnownBug, traceName } from '../../bugs/bug.js';
import { labelled, paragraph } from './layout.js';
import type { Theme } from './theme.js';

/** All that is known of a bug, and by what a trace shows it. */
export function explainBugLines(bug: KnownBug, theme: Theme, width: number): string[] {
  const lines = [
    theme.bold(bug.id),
    ...paragraph(bug.title, width, '  '),
    '',
    ...labelled('wrong', bug.wrong, width),
    ...labelled('kernels', bug.kernels, width),
    ...labelled('models', bug.models.join(', '), width),
  ];
  if (bug.commits.length > 0) lines.push(...labelled('commits', bug.commits.join(', '), width));
  if (bug.invisible !== undefined) return [...lines, ...labelled('invisible', bug.invisible, width)];
  if (bug.signs.length === 0) return [...lines, ...labelled('signs', 'no rule asks for it yet', width)];
  const name = traceName(bug);
  return [
    ...lines,
    ...bug.signs.flatMap(({ rule, diagnoses, timer }, index) => {
      const of = timer === undefined ? '' : ` of the ${timer}`;
      return labelled(index === 0 ? 'signs' : '', `${rule}: ${diagnoses.join(', ')}${of}`, width);
    }),
    ...labelled('trace', `traces/bugs/${name}.csv, legal in traces/bugs/${name}-legal.csv`, width),
  ];
}

/** The bugs that a rule catches, for the page of the rule. */
export function caughtLines(rule: string, bugs: readonly KnownBug[], theme: Theme, width: number): string[] {
  if (bugs.length === 0) return [];
  const lines = bugs.flatMap((bug) => {
    const diagnoses = bug.signs.filter((sign) => sign.rule === rule).flatMap((sign) => sign.diagnoses);
    return paragraph(`${bugWords(bug)}: ${diagnoses.join(', ')}`, width, '      ', '  ');
  });
  return ['', theme.bold('known bugs of which it is the sign'), ...lines];
}
