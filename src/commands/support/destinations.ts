import { statSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { nearest } from '../../events/nearest.js';
import { fileOutput, type Output } from '../../report/output.js';
import { type ReportFormat, reportFormats } from '../../report/reporter.js';
import { UsageError } from './usage-error.js';

/** A report that was asked for: its format and where it goes. */
export interface Destination {
  readonly format: ReportFormat;
  /** A path, or `-` for stdout. */
  readonly file: string;
}

/**
 * Reads one more `--format NAME[=FILE]`.
 * @throws InvalidArgumentError for an unknown format, or two reports in one place
 */
export function addDestination(text: string, earlier: readonly Destination[] = []): readonly Destination[] {
  const [name, ...rest] = text.split('=');
  const format = reportFormats.find((candidate) => candidate === name);
  if (format === undefined) {
    const meant = nearest(name!, reportFormats);
    throw new InvalidArgumentError(
      `${meant === undefined ? '' : `Did you mean "${meant}"? `}Formats are ${reportFormats.join(', ')}.`,
    );
  }
  const file = rest.length === 0 ? '-' : rest.join('=');
  if (file === '') throw new InvalidArgumentError('A file name must follow the "=".');
  if (earlier.some((other) => other.file === file)) {
    const place = file === '-' ? 'stdout: write the others to files, NAME=FILE' : file;
    throw new InvalidArgumentError(`Two reports cannot both go to ${place}.`);
  }
  return [...earlier, { format, file }];
}

/**
 * A report must not overwrite what it reports on, whatever name or link leads to it.
 * @throws UsageError when a report's file is one of the inputs
 */
export function refuseInputsAsReports(inputs: readonly string[], destinations: readonly Destination[]): void {
  for (const { file } of destinations) {
    const report = file === '-' ? undefined : statSync(file, { throwIfNoEntry: false });
    if (report === undefined || !report.isFile()) continue;
    for (const input of inputs) {
      const read = input === '-' ? undefined : statSync(input, { throwIfNoEntry: false });
      if (read?.dev !== report.dev || read.ino !== report.ino) continue;
      throw new UsageError(`the report would overwrite the recording '${input}'`, 'name another file for it');
    }
  }
}

/** Opens where a report goes. */
export function openDestination(destination: Destination, stdout: () => Output): Output {
  return destination.file === '-' ? stdout() : fileOutput(destination.file);
}
