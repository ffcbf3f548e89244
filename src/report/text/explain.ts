import type { KnownBug } from '../../bugs/bug.js';
import type { Finding } from '../../check/facts.js';
import type { Example, Rule } from '../../rules/rule.js';
import { caughtLines } from './bug.js';
import { labelled, paragraph } from './layout.js';
import { severityWords } from './rules.js';
import type { Theme } from './theme.js';

/** The argument of a finding, or a message whose `{name}` places are not filled in. */
export type ExampleArgument = Finding['argument'] & { readonly headline: string };

function needsWords(rule: Rule): string {
  if (rule.needs.length === 0) return 'nothing in particular';
  return rule.needs.map((need) => (typeof need === 'string' ? need : `one of ${need.join(' | ')}`)).join(', ');
}

function traceLines(example: Example, decisive: number | null, theme: Theme): string[] {
  const lines = example.trace.trimEnd().split('\n');
  const width = String(lines.length).length;
  return lines.map((line, index) => {
    const number = index + 1;
    const text = `${number === decisive ? '  >' : '   '} ${String(number).padStart(width)}  ${line}`;
    return number === decisive ? theme.bold(text) : text;
  });
}

function exampleHead(kind: string, example: Example, theme: Theme, width: number): string[] {
  const host = example.host === undefined ? '' : `, host ${example.host}`;
  return [
    ...paragraph(`${kind}: ${example.title}`, width, '  ', '').map(theme.bold),
    theme.dim(`  model ${example.model}${host}`),
  ];
}

/**
 * All that is known of a rule.
 * @param bugs the known bugs that it catches
 * @param argumentOf gives the argument of the finding that the nth violating example leads to
 */
export function explainLines(
  rule: Rule,
  bugs: readonly KnownBug[],
  argumentOf: (violating: number) => ExampleArgument,
  theme: Theme,
  width: number,
): string[] {
  const lines = [
    theme.bold(rule.id),
    ...paragraph(rule.statement, width, '  '),
    '',
    ...labelled('why', rule.why, width),
    ...labelled('needs', needsWords(rule), width),
    ...labelled('severity', severityWords(rule), width),
    ...labelled('source', rule.source, width),
  ];
  const messages = Object.entries(rule.messages);
  if (messages.length > 1) {
    lines.push(
      '',
      theme.bold('diagnoses'),
      ...messages.flatMap(([id, text]) => paragraph(text.headline, width, '      ', `  ${id}: `)),
    );
  }
  lines.push(...caughtLines(rule.id, bugs, theme, width));
  for (const example of rule.examples.legal) {
    lines.push('', ...exampleHead('legal', example, theme, width), ...traceLines(example, null, theme));
  }
  rule.examples.violating.forEach((example, index) => {
    const argument = argumentOf(index);
    lines.push(
      '',
      ...exampleHead('violating', example, theme, width),
      ...traceLines(example, example.line, theme),
      ...labelled('finding', `${example.message}: ${argument.headline}`, width),
      ...labelled('given', argument.given, width),
      ...labelled('must', argument.must, width),
      ...labelled('but', argument.but, width),
      ...labelled('therefore', argument.therefore, width),
    );
  });
  return lines;
}
