/**
 * Probability that all `times` occurrences lie among the `ours` of `ours + theirs` places if both sides are alike
 * (Fisher's exact test with nothing on the other side).
 */
export function chanceOfNone(times: number, ours: number, theirs: number): number {
  let chance = 1;
  for (let i = 0; i < times && chance > 0; i++) chance *= (ours - i) / (ours + theirs - i);
  return chance;
}
