/**
 * The inner loops of the text readers, compiled to WebAssembly by AssemblyScript: finding the end of a line, and
 * recognising what earlier lines have taught. Nothing here knows what a line means. A text that was seen before is found
 * again by its bytes, and the JavaScript that read it then has kept what it says; whatever is new, longer or otherwise
 * unlike what was learnt is refused, and the complete readers in JavaScript decide.
 *
 * Positions are addresses in the memory that the readers share with this module: a line lies in [from, end), and at `end`
 * stands its newline or a carriage return, so that a scan for digits, blanks or letters stops there by itself. Wide loads
 * may reach beyond the line, but never beyond the memory, whose last parts are the tables.
 *
 * `npm run generate` compiles it into `scanner-code.ts` in the folder above. Functions of which a line needs many are
 * methods marked as to be written out where they are called, a mark that AssemblyScript allows there only.
 */
import { lineEnd } from './bytes';
import { isPassedOver, Line, unknown } from './line';
import { linesResult, newlineResult, startResult } from './memory';
import { plan } from './plan';

export { setColumns } from './line';
export * from './memory';
export { keep, recall } from './texts';
export { lineEnd, plan };

/** The event's name at `from`: see `Line.name`. */
export function name(from: i32): i32 {
  return Line.name(from);
}

/**
 * Takes lines of [from, to), of which the first begins at `from`: those to be passed over, up to the first one that is
 * another. Returns what that is: `isRecord` when a plan has read it, `unknown` when it is for JavaScript to see, or when
 * its end is missing.
 *
 * @param longestStep nanoseconds from one record of a CPU to the next, beyond which JavaScript has to see the line
 */
export function next(from: i32, to: i32, longestStep: f64): i32 {
  let start = from;
  for (let lines = 0; ; lines++) {
    let end = lineEnd(start, to);
    let found = unknown;
    const newline = end;
    if (end >= 0) {
      while (end > start && load<u8>(end - 1) === 0x0d) end--;
      found = Line.read(start, end, longestStep);
    }
    if (found === isPassedOver) {
      start = newline + 1;
      continue;
    }
    store<i32>(linesResult, lines);
    store<i32>(startResult, start);
    store<i32>(newlineResult, newline);
    return found;
  }
}
