/**
 * An input that cannot be read at all (exit code 3). The message names the place in the input, what was
 * expected, what was found and what to do; the file's name is put in front by whoever opened it.
 */
export class InputError extends Error {
  override name = 'InputError';
}

/** The input ends before its own end, or is damaged from a place on: what came before can be used. */
export class TruncatedInputError extends InputError {
  override name = 'TruncatedInputError';
}
