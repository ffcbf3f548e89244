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
import { headSize, heads, lineHead, linesResult, mostRecords, startResult } from './memory';
import { planned } from './plan';

export { setColumns } from './line';
export * from './memory';
export { keep, recall } from './texts';
export { lineEnd };

/** The event's name at `from`: see `Line.name`. */
export function name(from: i32): i32 {
  return Line.name(from);
}

/** `planned` for a single record. */
export function plan(index: i32, from: i32, end: i32): i32 {
  return planned(index, from, end, 0);
}

/**
 * Takes lines of [from, to), of which the first begins at `from`, up to the first one that is for JavaScript to see or
 * whose end is missing, or until there is no room for a further record. Returns the number of records.
 *
 * @param longestStep nanoseconds from one record of a CPU to the next, beyond which JavaScript has to see the line
 */
export function next(from: i32, to: i32, longestStep: f64): i32 {
  let start = from;
  let lines = 0;
  let records = 0;
  while (records < mostRecords) {
    const newline = lineEnd(start, to);
    if (newline < 0) break;
    let end = newline;
    while (end > start && load<u8>(end - 1) === 0x0d) end--;
    const found = Line.read(start, end, longestStep, records);
    if (found === unknown) break;
    lines++;
    start = newline + 1;
    if (found === isPassedOver) continue;
    store<i32>(heads + records * headSize + lineHead, lines);
    records++;
  }
  store<i32>(startResult, start);
  store<i32>(linesResult, lines);
  return records;
}
