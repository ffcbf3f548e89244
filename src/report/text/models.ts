import { contextMeanings, guardMeanings, type StateName, stateMeanings } from '../../models/design.js';
import { contextsOf, guardsOf, type ModelAndDesign, statementLines } from '../design.js';
import { align, labelled, paragraph } from './layout.js';
import type { Theme } from './theme.js';

/** The list of models: id, kernels, how they are recognised, what a trace shows. */
export function modelListLines(list: readonly ModelAndDesign[], theme: Theme, width: number): string[] {
  return list.flatMap(({ model, design }) => [
    `${theme.bold(model.id)}  ${theme.dim(model.kernels)}`,
    ...labelled('is', model.summary, width, 12),
    ...labelled('recognised', design.recognised, width, 12),
    ...labelled('shows', design.visible, width, 12),
  ]);
}

/** All that is known of one model: states, transitions, and what each function does. */
export function modelLines({ model, design }: ModelAndDesign, theme: Theme, width: number): string[] {
  const { lifecycle } = design;
  const states = Object.keys(lifecycle.states) as StateName[];
  const marks = (state: StateName): string =>
    [state === lifecycle.initial ? 'initial' : '', lifecycle.final.includes(state) ? 'final' : '']
      .filter((mark) => mark !== '')
      .join(', ');
  const lines = [...modelListLines([{ model, design }], theme, width), '', theme.bold('states')];
  for (const state of states) {
    const mark = marks(state);
    lines.push(
      ...labelled(state, `${stateMeanings[state]}${mark === '' ? '' : ` (${mark})`}`, width, 12),
      ...labelled('', lifecycle.states[state] as string, width, 12).map(theme.dim),
    );
  }
  lines.push('', theme.bold('transitions'));
  const rows = lifecycle.transitions.map(({ from, event, to, note }) => [from, event, to, note ?? '']);
  lines.push(...align(rows).map((cells) => `  ${cells.join('  ')}`.trimEnd()));
  lines.push('', `${theme.bold('functions')}  ${theme.dim('[V] read in the source, [I] inferred')}`);
  for (const each of design.functions) {
    const basis = each.basis === 'verified' ? '[V]' : '[I]';
    const where = [each.event ?? '', each.hyp === true ? 'at EL2' : '', each.irqsOff === true ? 'interrupts off' : '']
      .filter((word) => word !== '')
      .join(', ');
    lines.push(`  ${theme.bold(each.kernel)}  ${basis}${where === '' ? '' : `  ${theme.dim(where)}`}`);
    if (each.note !== undefined) lines.push(...paragraph(each.note, width, '    ').map(theme.dim));
    const body = statementLines(design, each.body);
    lines.push(
      ...(body.length === 0 ? ['      nothing'] : body.map(({ depth, text }) => `${'  '.repeat(depth + 3)}${text}`)),
    );
  }
  lines.push('', theme.bold('words'));
  const words = [
    ...guardsOf(design).map((name) => [name, guardMeanings[name]]),
    ...contextsOf(design).map((name) => [name, contextMeanings[name]]),
    ['mem', "the timer's copy in memory"],
  ] as const;
  const column = Math.max(...words.map(([word]) => word.length)) + 2;
  return [...lines, ...words.flatMap(([word, meaning]) => labelled(word, meaning, width, column))];
}
