import type { Diff, DiffFact } from '../../../diff/facts.js';
import type { Output } from '../../output.js';
import { printableFact } from '../../printable.js';
import type { Reporter } from '../../reporter.js';
import type { TextStyle } from '../finding.js';
import { failureLines } from '../run.js';
import type { Theme } from '../theme.js';
import { behaviourLines } from './behaviour.js';
import { findingsLines } from './findings.js';
import { headLines } from './head.js';

function diffLines(diff: Diff, style: TextStyle): string[] {
  const sections = [headLines(diff, style), findingsLines(diff, style), behaviourLines(diff.behaviour, style)];
  return sections.filter((lines) => lines.length > 0).flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}

/** The difference for people: the verdict first, then what changed, then the detail. */
export function diffTextReporter(output: Output, theme: Theme): Reporter<DiffFact> {
  const style: TextStyle = { theme, width: Math.min(output.columns, 100), verbose: false };
  const write = (lines: readonly string[]) => output.write(lines.map((line) => `${line}\n`).join(''));
  return {
    async fact(fact) {
      if (fact.type === 'trace-failed') await write(failureLines(fact.failure, style));
      if (fact.type !== 'diff') return;
      if (fact.exitCode === 130) await write([theme.bold('interrupted: the recordings were not read to their ends')]);
      if (fact.diff !== null) await write(diffLines(printableFact(fact.diff), style));
    },
    end() {},
  };
}
