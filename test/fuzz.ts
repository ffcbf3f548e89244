import fc from 'fast-check';

// A gate has to give the same answer for the same tree, so its inputs are fixed; FUZZ_RUNS=100 tries a hundred times
// as many, other ones each time.
const factor = Number(process.env.FUZZ_RUNS ?? 0);

if (!(factor > 0)) fc.configureGlobal({ seed: 20160405 });

/** Number of runs of a property: `usual`, or as many times that as FUZZ_RUNS says. */
export function runs(usual: number): { numRuns: number } {
  return { numRuns: factor > 0 ? Math.ceil(usual * factor) : usual };
}
