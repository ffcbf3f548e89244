import type { Fact } from '../../check/facts.js';
import type { Output } from '../output.js';
import { printableFact } from '../printable.js';
import type { Reporter, ReporterOptions } from '../reporter.js';
import { endLines, findingLines, type TextStyle } from './finding.js';
import { paragraph } from './layout.js';
import { failureLine, failureLines, runLines, runTotals } from './run.js';
import type { Theme } from './theme.js';
import { traceLines, verdictLine } from './trace.js';

/** Standard input may never end, so its findings are shown as they are found, before the verdict. */
function isLive(path: string): boolean {
  return path === '-';
}

/**
 * The report for people: of each input the verdict first, then the findings and what the verdict rests on.
 *
 * The verdict of a file comes first because its report is written when it has been read; what is kept until
 * then is bounded by `--max-findings`. Standard input is the exception: its findings appear as they are found
 * and its verdict at its end.
 */
export function textReporter(output: Output, theme: Theme, options: ReporterOptions): Reporter {
  const style: TextStyle = { theme, width: output.columns, verbose: options.detail === 'verbose' };
  const quiet = options.detail === 'quiet';
  let begun = false;
  const write = async (lines: readonly string[]) => {
    const gap = begun && !quiet ? '\n' : '';
    begun = true;
    await output.write(gap + lines.map((line) => `${line}\n`).join(''));
  };

  const live = async (fact: Fact) => {
    if (fact.type === 'trace-start')
      await write([theme.dim(`standard input (${fact.format}): findings as they occur`)]);
    if (fact.type === 'model') {
      const { model, host } = printableFact(fact);
      const name = model.id ?? `one of ${model.candidates.join(', ')}`;
      await write([theme.dim(`model ${name}, host ${host.id ?? 'not known'}`)]);
    }
    if (fact.type === 'finding-end') {
      const { rule, diagnosis, fingerprint, episodes, message } = printableFact(fact.finding);
      const name = `${theme.bold(`${rule}/${diagnosis}`)}  ${fingerprint}`;
      if (episodes !== undefined)
        await write([name, ...paragraph(message, style.width, '  '), ...endLines(episodes.first, style.width)]);
    }
    if (fact.type === 'finding') await write(findingLines(printableFact(fact.finding), fact.path, style));
  };

  return {
    async fact(fact) {
      switch (fact.type) {
        case 'trace-end': {
          const trace = printableFact(fact.summary);
          await write(quiet ? [verdictLine(trace, style)] : traceLines(trace, style, isLive(fact.path)));
          break;
        }
        case 'trace-failed':
          await write(quiet ? [failureLine(fact.failure, style)] : failureLines(fact.failure, style));
          break;
        case 'run-end':
          if (fact.run.exitCode === 130) {
            await write([theme.bold('interrupted: the report covers what was read until then')]);
          }
          if (options.inputs > 1) {
            const run = printableFact(fact.run);
            await write(quiet ? [runTotals(run)] : runLines(run, style));
          }
          break;
        default:
          if (isLive(fact.path) && !quiet) await live(fact);
      }
    },
    end() {},
  };
}
