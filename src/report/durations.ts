const units = [
  ['s', 1e9],
  ['ms', 1e6],
  ['us', 1e3],
] as const;

/** A duration with three digits or more, in the unit that fits. @param nanoseconds 0 or more */
export function duration(nanoseconds: number): string {
  for (const [unit, size] of units) {
    const value = nanoseconds / size;
    if (value < 0.9995) continue;
    return `${value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2)} ${unit}`;
  }
  return `${Math.round(nanoseconds)} ns`;
}

/** A share of a whole as a percentage with one decimal. */
export function percentage(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`;
}
