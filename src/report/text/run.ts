import type { RunSummary, TraceFailure } from '../../check/facts.js';
import { counted, pathName } from '../place.js';
import { printable } from '../printable.js';
import type { TextStyle } from './finding.js';
import { paragraph } from './layout.js';

/** An input that could not be read. */
export function failureLines(failure: TraceFailure, { theme, width }: TextStyle): string[] {
  const error = failure.error.split('\n').flatMap((line) => paragraph(printable(line), width, '  '));
  return [`${theme.verdict.unreadable('unreadable')}  ${theme.bold(printable(pathName(failure.path)))}`, ...error];
}

/** The same on one line, for `--quiet`. */
export function failureLine(failure: TraceFailure, { theme }: TextStyle): string {
  const path = printable(pathName(failure.path));
  return `${theme.verdict.unreadable('unreadable')}  ${path}: ${printable(failure.error)}`;
}

/** The whole run in one sentence: how many inputs had which verdict. */
export function runTotals(run: RunSummary): string {
  const totals = (['violations', 'inconclusive', 'clean'] as const).flatMap((verdict) => {
    const count = run.traces.filter((trace) => trace.verdict === verdict).length;
    return count > 0 ? [`${count} ${verdict === 'violations' ? 'with violations' : verdict}`] : [];
  });
  if (run.failures.length > 0) totals.push(`${run.failures.length} unreadable`);
  const inputs = counted(run.traces.length + run.failures.length, 'input');
  return `${inputs}: ${totals.join(', ')}; exit code ${run.exitCode}`;
}

/** The whole run, and which of its inputs were not clean. */
export function runLines(run: RunSummary, { theme, width }: TextStyle): string[] {
  const failing = run.traces.filter((trace) => trace.verdict !== 'clean');
  return [
    ...paragraph(runTotals(run), width, '  ', '').map(theme.bold),
    ...failing.map((trace) => `  ${theme.verdict[trace.verdict](trace.verdict.padEnd(12))}  ${pathName(trace.path)}`),
    ...run.failures.map((item) => `  ${theme.verdict.unreadable('unreadable'.padEnd(12))}  ${pathName(item.path)}`),
  ];
}
