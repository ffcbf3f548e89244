import { stateMeanings } from '../../models/design.js';
import type { ModelAndDesign } from '../design.js';
import { edgesOf, statesOf } from './edges.js';

const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** The lifecycle for people, as Graphviz draws it. */
export function dotText({ model, design }: ModelAndDesign): string {
  const { lifecycle } = design;
  const lines = [
    `digraph ${quoted(model.id)} {`,
    `  label = ${quoted(`${model.id} (${model.kernels})`)};`,
    '  node [shape = box, style = rounded];',
    '  initial [shape = point];',
    `  initial -> ${lifecycle.initial};`,
    ...statesOf(lifecycle).map(
      (state) =>
        `  ${state} [tooltip = ${quoted(stateMeanings[state])}${lifecycle.final.includes(state) ? ', peripheries = 2' : ''}];`,
    ),
    ...edgesOf(lifecycle).map(({ from, to, events }) => `  ${from} -> ${to} [label = "${events.join('\\n')}"];`),
    '}',
  ];
  return `${lines.join('\n')}\n`;
}
