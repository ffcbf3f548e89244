import { kindMeanings, kindNames } from '../../events/kinds.js';
import { functionsOfEvent, type ModelAndDesign } from '../design.js';
import { edgesOf, statesOf } from './edges.js';

/**
 * The lifecycle in the Graphviz form that the kernel's rvgen reads (tools/verification/rvgen, automata.py). It reads by
 * lines: the graph is named state_automaton; nodes come first, each alone in braces, the initial one with a twin
 * `__init_NAME` and marked states as doublecircle; then the edge from that twin, then states and edges, whose events are
 * separated by `\n`. Whatever follows the first other line it does not read, so there stands where the events are.
 */
export function rvText({ model, design }: ModelAndDesign): string {
  const { lifecycle } = design;
  const { initial } = lifecycle;
  const states = statesOf(lifecycle);
  const edges = edgesOf(lifecycle);
  const shape = (state: (typeof states)[number]) => (lifecycle.final.includes(state) ? 'doublecircle' : 'circle');
  const events = [...new Set(lifecycle.transitions.map(({ event }) => event))].sort();
  const places = events.map((event) => {
    const functions = functionsOfEvent(design, event).map(({ kernel }) => kernel);
    return `// ${event}: ${functions.length > 0 ? [...new Set(functions)].join('; ') : kindMeanings[kindNames.indexOf(event)]}`;
  });
  const lines = [
    'digraph state_automaton {',
    '\tcenter = true;',
    '\tsize = "7,11";',
    `\t{node [shape = plaintext, style=invis, label=""] "__init_${initial}"};`,
    ...states.map((state) => `\t{node [shape = ${shape(state)}] "${state}"};`),
    `\t"__init_${initial}" -> "${initial}";`,
    ...states.flatMap((state) => [
      `\t"${state}" [label = "${state}"${state === initial ? ', color = green3' : ''}];`,
      ...edges
        .filter(({ from }) => from === state)
        .map(({ to, events: labels }) => `\t"${state}" -> "${to}" [ label = "${labels.join('\\n')}" ];`),
    ]),
    '\t{ rank = min ;',
    `\t\t"__init_${initial}";`,
    `\t\t"${initial}";`,
    '\t}',
    '}',
    `// ${model.id} (${model.kernels}): the life of one vcpu, for a monitor of its thread.`,
    ...places,
  ];
  return `${lines.join('\n')}\n`;
}
