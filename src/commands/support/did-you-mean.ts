import { nearest } from '../../events/nearest.js';

/** What a misspelt or shortened id may have meant, at most three ids. */
function meantIds(id: string, ids: readonly string[]): string[] {
  const spelling = nearest(id, ids);
  return spelling === undefined ? ids.filter((candidate) => candidate.includes(id)).slice(0, 3) : [spelling];
}

/** A hint for an id that does not exist: what may have been meant, and where all are listed. */
export function didYouMean(id: string, ids: readonly string[], list: string): string {
  const meant = meantIds(id, ids).map((candidate) => `'${candidate}'`);
  return meant.length === 0 ? list : `did you mean ${meant.join(' or ')}? ${list}`;
}
