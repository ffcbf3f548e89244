import { UsageError } from './usage-error.js';

/** @throws UsageError when standard input is named twice */
export function refuseStandardInputTwice(paths: readonly string[]): void {
  if (paths.filter((path) => path === '-').length > 1) {
    throw new UsageError('standard input can be read only once', "give '-' once");
  }
}

/** @throws UsageError for an input format that does not exist */
export function refuseUnknownFormat(format: string | undefined, formats: readonly string[]): void {
  if (format !== undefined && !formats.includes(format)) {
    throw new UsageError(`unknown input format '${format}'`, `formats are ${formats.join(', ')}`);
  }
}
