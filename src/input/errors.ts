/**
 * An input that cannot be read at all (exit code 3). The message names the place in the input, what was
 * expected, what was found and what to do; the file's name is put in front by whoever opened it.
 */
export class InputError extends Error {
  override name = 'InputError';
}
