import type { ConditionSeverity } from '../../events/conditions.js';
import type { Severity } from '../../rules/rule.js';

type Paint = (text: string) => string;

/** The few colours of a text report, by meaning. */
export interface Theme {
  readonly severity: Readonly<Record<Severity | ConditionSeverity, Paint>>;
  readonly verdict: Readonly<Record<'clean' | 'violations' | 'inconclusive' | 'unreadable', Paint>>;
  /** Headings. */
  readonly bold: Paint;
  /** What is secondary. */
  readonly dim: Paint;
}

const plain: Paint = (text) => text;

function theme(paint: Record<'red' | 'yellow' | 'cyan' | 'green' | 'bold' | 'dim', Paint>): Theme {
  const strong =
    (color: Paint): Paint =>
    (text) =>
      paint.bold(color(text));
  return {
    severity: { error: paint.red, loss: paint.red, warning: paint.yellow, info: paint.cyan },
    verdict: {
      clean: strong(paint.green),
      violations: strong(paint.red),
      inconclusive: strong(paint.yellow),
      unreadable: strong(paint.red),
    },
    bold: paint.bold,
    dim: paint.dim,
  };
}

/** A theme without colours. */
export const plainTheme: Theme = theme({
  red: plain,
  yellow: plain,
  cyan: plain,
  green: plain,
  bold: plain,
  dim: plain,
});

/** The theme for an output; chalk is loaded only for one that wants colours. */
export async function createTheme(color: boolean): Promise<Theme> {
  if (!color) return plainTheme;
  const { Chalk } = await import('chalk');
  // The sixteen basic colours follow the user's palette.
  const chalk = new Chalk({ level: 1 });
  // Chalk prints every argument it is given, so as a callback of `map` it would print the index too.
  const paint =
    (name: 'red' | 'yellow' | 'cyan' | 'green' | 'bold' | 'dim'): Paint =>
    (text) =>
      chalk[name](text);
  return theme({
    red: paint('red'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
    green: paint('green'),
    bold: paint('bold'),
    dim: paint('dim'),
  });
}
