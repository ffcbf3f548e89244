import { stateMeanings } from '../../models/design.js';
import type { ModelAndDesign } from '../design.js';
import { edgesOf, statesOf } from './edges.js';

// A colon ends a label's key and a semicolon a statement, so neither may stand in a text.
const plain = (text: string): string => text.replaceAll(/[:;]/g, ',');

/** The lifecycle as a Mermaid state diagram. */
export function mermaidText({ model, design }: ModelAndDesign): string {
  const { lifecycle } = design;
  const lines = [
    'stateDiagram-v2',
    `  %% ${model.id} (${model.kernels})`,
    `  [*] --> ${lifecycle.initial}`,
    ...edgesOf(lifecycle).map(({ from, to, events }) => `  ${from} --> ${to} : ${events.join(', ')}`),
    ...statesOf(lifecycle).flatMap((state) => [
      `  note right of ${state}`,
      `    ${plain(stateMeanings[state])}`,
      '  end note',
    ]),
  ];
  return `${lines.join('\n')}\n`;
}
