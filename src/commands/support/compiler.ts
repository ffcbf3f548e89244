import { statSync } from 'node:fs';
import type { AnyFact, Reporter } from '../../report/reporter.js';

/**
 * V8 optimises a function when so many bytes of its code have run. Of a run of a few hundred milliseconds that took a
 * third of the processor's time, and was ready when the run was over: in a short run it comes later.
 */
const patient = '--interrupt-budget=300000';

/** V8's own value. */
const usual = '--interrupt-budget=67584';

/** Bytes of its inputs, and records, up to which a run is short: compressed files may have many more records. */
const fewBytes = 2 * 1024 * 1024;
const fewRecords = 65_536;

/**
 * Leaves functions unoptimised for longer as long as a run is short. It goes by the facts, so it is given each of them
 * like a reporter.
 */
export function lateOptimisation(paths: readonly string[]): Reporter<AnyFact> {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  let isPatient = areSmall(paths);
  let ended = 0;
  if (isPatient) setFlagsFromString(patient);
  return {
    fact(fact) {
      if (fact.type === 'trace-end') ended += fact.summary.events;
      if (!isPatient || fact.type !== 'progress' || ended + fact.events <= fewRecords) return;
      isPatient = false;
      setFlagsFromString(usual);
    },
    end() {},
  };
}

/** Whether the inputs are files, and small ones: a pipe may have no end. */
function areSmall(paths: readonly string[]): boolean {
  let size = 0;
  try {
    for (const path of paths) {
      const file = statSync(path);
      if (!file.isFile()) return false;
      size += file.size;
    }
  } catch {
    // Not there, or not to be read: the run says so.
    return false;
  }
  return size <= fewBytes;
}
