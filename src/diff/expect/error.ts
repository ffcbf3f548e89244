import { nearest } from '../../events/nearest.js';

/** What was asked of a diff cannot be understood: one line, and a hint on what to do instead. */
export class ExpectationError extends Error {
  override name = 'ExpectationError';

  constructor(
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

/** What a word that is none of those there are may have meant. */
export function didMean(word: string, known: readonly string[]): string | undefined {
  const near = nearest(word, known) ?? known.find((one) => word !== '' && one.includes(word));
  return near === undefined ? undefined : `did you mean '${near}'?`;
}

/** More names are not listed where one of them is near. */
const fewNames = 12;

/** A hint for a word that is none of those there are, with all of them where they are few or none is near. */
export function meant(word: string, known: readonly string[]): string {
  const near = didMean(word, known);
  const list = `there are ${known.filter((one) => !one.endsWith(' (ptimer)')).join(', ')}`;
  if (near === undefined) return list;
  return known.length > fewNames ? near : `${near} ${list}`;
}
