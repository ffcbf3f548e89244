import type { Output } from './output.js';
import { pathName } from './place.js';
import { printable } from './printable.js';
import type { AnyFact, Reporter } from './reporter.js';

/** An input that is read faster than this needs no progress line. */
const quietMilliseconds = 500;
const refreshMilliseconds = 100;

const clearLine = '\r\x1b[K';

/**
 * One line on a terminal's stderr that shows how far a long input has been read. It removes itself before any
 * other fact, so it must be given each fact before the reporters that may share the screen.
 */
export function progressLine(output: Output, now: () => number = () => performance.now()): Reporter<AnyFact> {
  let started = now();
  let drawn = 0;
  let visible = false;
  const clear = async () => {
    if (visible) await output.write(clearLine);
    visible = false;
  };
  return {
    async fact(fact) {
      if (fact.type !== 'progress') {
        if (fact.type === 'trace-start') started = now();
        await clear();
        return;
      }
      const time = now();
      if (time - started < quietMilliseconds || time - drawn < refreshMilliseconds) return;
      drawn = time;
      const megabytes = (fact.bytes / 1e6).toFixed(1);
      const seconds = ((time - started) / 1000).toFixed(0);
      const line = `${printable(pathName(fact.path))}: ${megabytes} MB, ${fact.events} events, ${seconds} s`;
      visible = true;
      // A line that wraps could not be cleared as one.
      await output.write(`${clearLine}${line.slice(-(output.columns - 1))}`);
    },
    end: clear,
  };
}
