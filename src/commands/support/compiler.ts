import { statSync } from 'node:fs';
import type { AnyFact, Reporter } from '../../report/reporter.js';

/**
 * V8 optimises a function when so many bytes of its code have run. Of a run of a few hundred milliseconds that took a
 * third of the processor's time, and was ready when the run was over: in a short run it comes later, and for functions
 * of many bytes not at all, which take the longest. The same holds for WebAssembly, in which zstd is decompressed: its
 * one large function takes 50 ms to optimise. Nor is the heap of a short run worth being marked, and its young generation,
 * which begins with a megabyte, is let grow at once: most of what a run keeps is made at its beginning, and every
 * collection copies it.
 */
const late = ['--interrupt-budget=300000'];
const patient = [
  ...late,
  '--max-optimized-bytecode-size=600',
  '--wasm-tiering-budget=1000000000',
  '--no-incremental-marking',
  '--semi-space-growth-factor=8',
];
const impatient = [
  '--interrupt-budget=67584',
  '--max-optimized-bytecode-size=61440',
  '--wasm-tiering-budget=1800000',
  '--incremental-marking',
  '--semi-space-growth-factor=2',
];

/**
 * Bytes of functions that are optimised as a part of their caller. What optimised code `sparing` spares to make is a
 * sixth of the processor's time of a run of a second; that it is a tenth slower costs one of several seconds more. A
 * shorter run makes little, and calls cost it more. In one that is longer still, `lavish` saves a twentieth.
 */
const sparing = ['--max-inlined-bytecode-size-cumulative=300'];
const usual = ['--max-inlined-bytecode-size-cumulative=920'];
const lavish = ['--max-inlined-bytecode-size-cumulative=2500'];

/** Bytes of its inputs, and records, up to which a run is short: compressed files may have many more records. */
const fewBytes = 2 * 1024 * 1024;
const fewRecords = 65_536;

/** Bytes of its inputs up to which it takes about a second. */
const someBytes = 40 * 1024 * 1024;
/** Bytes of its inputs from which it takes more than four seconds, as the diff of two recordings of 10 M events does. */
const manyBytes = 400 * 1024 * 1024;

/**
 * Leaves functions unoptimised for longer as long as a run is short, and optimises them less where it is not long; and
 * again for longer once all inputs are read, since what is then made of them is short work. Large ones are not refused
 * there: V8 never again optimises a function that it has refused, and a diff may read its recordings once more. It goes
 * by the facts, so it is given each of them like a reporter.
 */
export function lateOptimisation(paths: readonly string[]): Reporter<AnyFact> {
  const size = sizeOf(paths);
  let isPatient = size <= fewBytes;
  let ended = 0;
  let unread = paths.length;
  if (isPatient) setFlags(patient);
  else if (size <= someBytes) setFlags(sparing);
  else if (size >= manyBytes && Number.isFinite(size)) setFlags(lavish);
  return {
    fact(fact) {
      if (fact.type === 'trace-end') ended += fact.summary.events;
      if ((fact.type === 'trace-end' || fact.type === 'trace-failed') && --unread === 0) setFlags(late);
      if (!isPatient || fact.type !== 'progress' || ended + fact.events <= fewRecords) return;
      isPatient = false;
      setFlags(impatient);
      setFlags(sparing);
    },
    end() {},
  };
}

/** Gives V8 its own values again. */
export function optimiseAsUsual(): void {
  setFlags(impatient);
  setFlags(usual);
}

function setFlags(flags: readonly string[]): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  for (const flag of flags) setFlagsFromString(flag);
}

/** Bytes of the inputs; infinite where one is no file: a pipe may have no end. */
function sizeOf(paths: readonly string[]): number {
  let size = 0;
  try {
    for (const path of paths) {
      const file = statSync(path);
      size += file.isFile() ? file.size : Number.POSITIVE_INFINITY;
    }
  } catch {
    // Not there, or not to be read: the run says so.
    return Number.POSITIVE_INFINITY;
  }
  return size;
}
