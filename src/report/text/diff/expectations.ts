import type { Diff, Outcome } from '../../../diff/facts.js';
import { counted, pathName } from '../../place.js';
import type { TextStyle } from '../finding.js';
import { paragraph } from '../layout.js';

/** Most undeclared differences that are listed; JSON has all. */
const mostUndeclared = 20;

/** Room for the longest outcome. */
const column = 11;

function outcomeLines(outcome: Outcome | 'kept' | 'passed', text: string, { theme, width }: TextStyle): string[] {
  const [first = '', ...more] = paragraph(text, width, ' '.repeat(2 + column), `  ${outcome.padEnd(column)}`);
  const good = outcome === 'met' || outcome === 'kept';
  const paint = good
    ? theme.verdict.clean
    : outcome === 'undecided'
      ? theme.verdict.inconclusive
      : theme.verdict.violations;
  return [first.replace(outcome, paint), ...more];
}

/** What the change was meant to do: what of it is so, and what else differs. */
export function expectationLines({ expectations, limits }: Diff, style: TextStyle): string[] {
  const { theme, width } = style;
  const ofLimits = limits.flatMap(({ text, failed, because }) =>
    outcomeLines(failed ? 'passed' : 'kept', `${text}: ${because}`, style),
  );
  const limitLines = limits.length === 0 ? [] : [theme.bold('limits'), ...ofLimits];
  if (expectations === null) return limitLines;
  const { declared, undeclared, source } = expectations;
  const number = (outcome: Outcome) => declared.filter((one) => one.outcome === outcome).length;
  const order: readonly Outcome[] = ['unmet', 'undecided', 'met'];
  const counts = order.map((outcome) => `${number(outcome)} ${outcome}`).join(', ');
  return [
    `${theme.bold('expectations')}  ${pathName(source)}: ${counts}`,
    ...order.flatMap((outcome) =>
      declared
        .filter((one) => one.outcome === outcome)
        .flatMap(({ says, because }) => outcomeLines(outcome, `${says}: ${because}`, style)),
    ),
    ...(undeclared.length === 0
      ? []
      : [`  undeclared: ${counted(undeclared.length, 'difference')} that no expectation names`]),
    ...undeclared.slice(0, mostUndeclared).flatMap((text) => paragraph(text, width, '      ', '    ')),
    ...(undeclared.length > mostUndeclared
      ? [`    and ${undeclared.length - mostUndeclared} more, see --format json`]
      : []),
    ...(limitLines.length === 0 ? [] : ['', ...limitLines]),
  ];
}
