/**
 * Whether a stream gets colours: `--color` and `--no-color` decide; else `FORCE_COLOR` (`0` and `false` mean no),
 * else `NO_COLOR` (anything but empty means no), else whether the stream is a terminal that knows colours. That
 * `FORCE_COLOR` comes before `NO_COLOR` is what Node.js itself does.
 */
export function wantsColor(
  flag: boolean | undefined,
  environment: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): boolean {
  if (flag !== undefined) return flag;
  const force = environment.FORCE_COLOR;
  if (force !== undefined) return force !== '0' && force !== 'false';
  if (environment.NO_COLOR) return false;
  return isTerminal && environment.TERM !== 'dumb';
}
