/** A command line that asks for something that does not exist: one line, and a hint on what to do instead. */
export class UsageError extends Error {
  override name = 'UsageError';

  constructor(
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}
