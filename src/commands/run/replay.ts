import type { Finding } from '../../check/facts.js';
import { check, fileInput, replay } from '../../index.js';
import { inputFormats } from '../../input/index.js';
import type { Selection } from '../../replay/replay.js';
import { replayTextReporter } from '../../report/text/replay.js';
import { createTheme } from '../../report/text/theme.js';
import { waveTextReporter } from '../../report/text/wave.js';
import type { ReplayCommandOptions } from '../replay.js';
import { lateOptimisation } from '../support/compiler.js';
import type { CommandContext } from '../support/context.js';
import { ExitCode } from '../support/exit-codes.js';
import { refuseUnknownFormat } from '../support/inputs.js';
import { endingAt, interruptible } from '../support/interrupt.js';
import { openPager, type Pager } from '../support/pager.js';
import { runReporters } from '../support/run-reporters.js';
import { UsageError } from '../support/usage-error.js';
import { withoutVerdict } from './without-verdict.js';

type Settings = Pick<ReplayCommandOptions, 'model' | 'host' | 'inputFormat'>;

/** The finding that the user names, by its number in the report or the beginning of its fingerprint. */
async function findingNamed(path: string, name: string, settings: Settings): Promise<Finding> {
  if (path === '-')
    throw new UsageError('--around reads the recording twice, standard input cannot be', 'write it to a file first');
  let findings: readonly Finding[] = [];
  for await (const fact of check([fileInput(path)], settings)) {
    if (fact.type === 'trace-end') findings = fact.summary.findings;
  }
  const finding = /^\d{1,4}$/.test(name)
    ? findings[Number(name) - 1]
    : findings.find(({ fingerprint }) => name.length >= 4 && fingerprint.startsWith(name));
  if (finding !== undefined) return finding;
  const count = findings.length === 0 ? 'none' : `1 to ${findings.length}`;
  throw new UsageError(`the recording has no finding ${name}`, `'timervet check ${path}' numbers them: ${count}`);
}

/** The window around a finding, from the first event that proves it. */
function windowAround(finding: Finding, milliseconds: number): Pick<Selection, 'from' | 'to'> {
  const times = [finding.time, ...finding.witness.map(({ time }) => time)].map(Number);
  return { from: Math.min(...times) - milliseconds / 1000, to: Number(finding.time) + milliseconds / 1000 };
}

/** `timervet replay`. @returns the exit code */
export async function runReplay(path: string, options: ReplayCommandOptions, context: CommandContext): Promise<number> {
  refuseUnknownFormat(options.inputFormat, inputFormats);
  const { vcpu, cpu, kind: kinds, from, to, around, model, host, inputFormat } = options;
  const settings: Settings = {
    ...(model !== undefined && { model }),
    ...(host !== undefined && { host }),
    ...(inputFormat !== undefined && { inputFormat }),
  };
  let pager: Pager | undefined;
  if (options.step === true) pager = openPager(process.stdin, context.stdout(), path);
  const finding = around === undefined ? undefined : await findingNamed(path, around, settings);
  const select: Selection = {
    ...(vcpu !== undefined && { vcpu }),
    ...(cpu !== undefined && { cpu }),
    ...(kinds !== undefined && { kinds }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(finding !== undefined && windowAround(finding, options.window)),
  };
  const output = pager ?? context.stdout();
  const theme = await createTheme(output.color);
  const reporter =
    options.wave === true
      ? waveTextReporter(output, theme)
      : replayTextReporter(output, theme, options.verbose === true);
  const code = await interruptible((signal) =>
    runReporters(
      withoutVerdict(
        replay(endingAt(signal, [fileInput(path)]), {
          ...settings,
          select,
          effects: options.effects && options.wave !== true,
        }),
      ),
      {
        reports: [{ reporter, output }],
        companions: [lateOptimisation([path])],
        inputs: 1,
        failOn: 'error',
        interrupted: signal,
      },
    ),
  );
  // A reader of the output that goes away is no verdict here.
  return code === ExitCode.unreadable || code === ExitCode.interrupted ? code : ExitCode.clean;
}
