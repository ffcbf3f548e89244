import type { Output } from './output.js';
import { pathName } from './place.js';
import { printable } from './printable.js';
import type { AnyFact, Reporter } from './reporter.js';

/** Names unreadable inputs on stderr, for runs whose report on stdout is not read by people. */
export function failureLines(output: Output): Reporter<AnyFact> {
  return {
    async fact(fact) {
      if (fact.type !== 'trace-failed') return;
      await output.write(`error: ${printable(pathName(fact.path))}: ${printable(fact.failure.error)}\n`);
    },
    end() {},
  };
}
