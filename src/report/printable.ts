// Control characters (those of C1 too: U+009B begins a sequence like ESC [), the ends of lines and paragraphs of
// Unicode, and the marks that reverse the direction of text.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The text with everything escaped that could steer a terminal. Thread names come from the trace and may hold
 * anything (`prctl(PR_SET_NAME)`), paths too.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => {
    const code = character.charCodeAt(0);
    return code > 0xff ? `\\u${code.toString(16)}` : `\\x${code.toString(16).padStart(2, '0')}`;
  });
}

/** The same with `?` in their places, for text that another program reads. */
export function withoutControls(text: string): string {
  return text.replace(unprintable, '?');
}

/** The same value with every string in it made printable, keys included. */
export function printableFact<T>(value: T): T {
  if (typeof value === 'string') return printable(value) as T;
  if (Array.isArray(value)) return value.map(printableFact) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [printable(key), printableFact(item)])) as T;
}
