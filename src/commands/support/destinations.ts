import { statSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { nearest } from '../../events/nearest.js';
import { type ReportFormat, reportFormats } from '../../report/formats.js';
import { fileOutput, type Output } from '../../report/output.js';
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
 * What is written must not overwrite what it is made of, whatever name or link leads to it.
 *
 * @param files where it goes; `-` is stdout
 * @param what  `report`, `converted trace`
 * @throws UsageError when one of the files is one of the inputs
 */
export function refuseToOverwrite(inputs: readonly string[], files: readonly string[], what: string): void {
  for (const file of files) {
    const target = file === '-' ? undefined : statSync(file, { throwIfNoEntry: false });
    if (target === undefined || !target.isFile()) continue;
    for (const input of inputs) {
      const read = input === '-' ? undefined : statSync(input, { throwIfNoEntry: false });
      if (read?.dev !== target.dev || read.ino !== target.ino) continue;
      throw new UsageError(`the ${what} would overwrite the recording '${input}'`, 'name another file for it');
    }
  }
}

/** Opens where a report, or a trace, goes. */
export function openDestination(destination: Pick<Destination, 'file'>, stdout: () => Output): Output {
  return destination.file === '-' ? stdout() : fileOutput(destination.file);
}
