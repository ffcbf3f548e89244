import type { CheckOptions } from '../../check/facts.js';
import { check, fileInput, rules } from '../../index.js';
import { inputFormats } from '../../input/index.js';
import { failureLines } from '../../report/failures.js';
import { progressLine } from '../../report/progress.js';
import { createReporter, type ReporterOptions } from '../../report/reporter.js';
import type { CheckCommandOptions } from '../check.js';
import { lateOptimisation } from '../support/compiler.js';
import type { CommandContext } from '../support/context.js';
import { openDestination, refuseToOverwrite } from '../support/destinations.js';
import { refuseStandardInputTwice, refuseUnknownFormat } from '../support/inputs.js';
import { endingAt, interruptible } from '../support/interrupt.js';
import { findRule } from '../support/rule-options.js';
import { type OpenReporter, runReporters } from '../support/run-reporters.js';

function checkOptions(options: CheckCommandOptions): CheckOptions {
  return {
    failOn: options.failOn,
    maxFindings: options.maxFindings,
    maxLatency: options.maxLatency * 1e6,
    rules: options.rule ?? {},
    ...(options.freq !== undefined && { frequency: options.freq }),
    ...(options.cntvoff !== undefined && { cntvoff: options.cntvoff }),
    allowLoss: options.allowLoss ?? false,
    ...(options.model !== undefined && { model: options.model }),
    ...(options.host !== undefined && { host: options.host }),
    ...(options.inputFormat !== undefined && { inputFormat: options.inputFormat }),
  };
}

async function openReports(
  options: CheckCommandOptions,
  inputs: number,
  context: CommandContext,
): Promise<OpenReporter[]> {
  const destinations = options.format ?? [{ format: 'text', file: '-' }];
  const settings: ReporterOptions = {
    version: context.version,
    inputs,
    failOn: options.failOn,
    detail: options.quiet ? 'quiet' : options.verbose ? 'verbose' : 'normal',
  };
  const reports: OpenReporter[] = [];
  for (const destination of destinations) {
    const output = openDestination(destination, context.stdout);
    reports.push({ output, reporter: await createReporter(destination.format, output, settings) });
  }
  return reports;
}

/** `timervet check`. @returns the exit code */
export async function runCheck(
  paths: readonly string[],
  options: CheckCommandOptions,
  context: CommandContext,
): Promise<number> {
  refuseStandardInputTwice(paths);
  for (const id of Object.keys(options.rule ?? {})) findRule(rules, id);
  refuseUnknownFormat(options.inputFormat, inputFormats);
  refuseToOverwrite(
    paths,
    (options.format ?? []).map(({ file }) => file),
    'report',
  );
  const reports = await openReports(options, paths.length, context);
  const readable = options.format?.some(({ format, file }) => format === 'text' && file === '-') ?? true;
  return interruptible((signal) => {
    return runReporters(check(endingAt(signal, paths.map(fileInput)), checkOptions(options)), {
      reports,
      companions: [
        lateOptimisation(paths),
        ...(context.interactive ? [progressLine(context.stderr())] : []),
        ...(readable ? [] : [failureLines(context.stderr())]),
      ],
      inputs: paths.length,
      failOn: options.failOn,
      interrupted: signal,
    });
  });
}
