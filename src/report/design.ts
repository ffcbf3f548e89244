import {
  type ContextName,
  contextMeanings,
  type Design,
  type Guard,
  type GuardName,
  type KernelFunction,
  operationMeanings,
  type Statement,
} from '../models/design.js';
import type { Model } from '../models/model.js';

/** A model and its data, as the command hands both to whoever prints them. */
export interface ModelAndDesign {
  readonly model: Model;
  readonly design: Design;
}

/** A statement as text, with the depth at which it stands. */
export interface StatementLine {
  readonly depth: number;
  readonly text: string;
}

const callee = (design: Design, role: string): string =>
  design.functions.find((each) => each.role === role)?.kernel.replace(/,.*/, '') ?? role;

const guardText = (guards: readonly Guard[]): string => guards.join(' && ');

/** Statements as lines that read like the kernel's. */
export function statementLines(design: Design, statements: readonly Statement[], depth = 0): StatementLine[] {
  const line = (text: string): StatementLine[] => [{ depth, text }];
  return statements.flatMap((statement) => {
    if ('do' in statement) {
      const [text] = operationMeanings[statement.do];
      const timer: ContextName = statement.of ?? 'x';
      const spelt = text.replaceAll('(x', `(${timer}`).replace('$', String(statement.value ?? ''));
      return line(statement.viaHyp === true ? `${spelt}  (a hypercall on non-VHE)` : spelt);
    }
    if ('call' in statement) {
      const of = statement.of === undefined ? [] : [statement.of];
      const given = [...of, ...(statement.value === undefined ? [] : [String(statement.value)])];
      return line(`${callee(design, statement.call)}(${given.join(', ')})`);
    }
    if ('record' in statement) return line(`trace ${statement.record}`);
    if ('return' in statement) return line('return');
    if ('bugOn' in statement) return line(`BUG_ON(${statement.bugOn})`);
    const [only] = statement.body;
    if (statement.body.length === 1 && only !== undefined && 'return' in only && statement.else === undefined)
      return line(`if (${guardText(statement.if)}) return`);
    return [
      ...line(`if (${guardText(statement.if)})`),
      ...statementLines(design, statement.body, depth + 1),
      ...(statement.else === undefined ? [] : [...line('else'), ...statementLines(design, statement.else, depth + 1)]),
    ];
  });
}

/** The guards that a design asks, each once, in the order of their first use. */
export function guardsOf(design: Design): GuardName[] {
  const guards = new Set<GuardName>();
  const visit = (statements: readonly Statement[]): void => {
    for (const statement of statements) {
      if ('bugOn' in statement) guards.add(nameOf(statement.bugOn));
      if (!('if' in statement)) continue;
      for (const guard of statement.if) guards.add(nameOf(guard));
      visit(statement.body);
      visit(statement.else ?? []);
    }
  };
  for (const { body } of design.functions) visit(body);
  return [...guards];
}

const nameOf = (guard: Guard): GuardName => guard.replace('!', '') as GuardName;

/** The timers that a design's functions name, each once. */
export function contextsOf(design: Design): ContextName[] {
  const text = JSON.stringify(design.functions);
  return (Object.keys(contextMeanings) as ContextName[]).filter((name) => text.includes(`"of":"${name}"`));
}

/** Where a live kernel shows an event: the function that a probe stands on, where it is no tracepoint. */
export function functionsOfEvent(design: Design, event: string): KernelFunction[] {
  return design.functions.filter((each) => each.event === event);
}
