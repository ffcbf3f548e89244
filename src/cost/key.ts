import { type Known3, Nesting } from './situation.js';

// What is known when an episode begins, as one number: a digit for each field, 2 where it is not known. Keys are made
// for every episode of a trace, field by field and without an object.

/** What the digit of each field of `Known3` weighs. */
export enum Field {
  enabled = 1,
  level = 3,
  loaded = 9,
  canFire = 27,
  ptimerCanFire = 81,
  bgArmed = 243,
  blocked = 729,
  extra = 2_187,
  timer = 6_561,
  /** The last one, which has four values. */
  nested = 19_683,
}

/** Number of keys of one episode. */
export const keyCount = 4 * Field.nested;

/** Nothing is known. */
export const nothingKnown = Nesting.unknown * Field.nested + (Field.nested - 1);

/** One thing more is known. @param value 0 or 1, or 2 where it is not; of `nested` a `Nesting` */
export function know(key: number, field: Field, value: number): number {
  return key + (value - 2) * field;
}

/** As `know`, of something of which another value was known. */
export function knowInstead(key: number, field: Field, value: number): number {
  const digit = Math.floor(key / field);
  return key + (value - (field === Field.nested ? digit : digit % 3)) * field;
}

/** What a key says. */
export function knownOf(key: number): Known3 {
  const digit = (field: Field) => Math.floor(key / field) % 3;
  return {
    enabled: digit(Field.enabled),
    level: digit(Field.level),
    loaded: digit(Field.loaded),
    canFire: digit(Field.canFire),
    ptimerCanFire: digit(Field.ptimerCanFire),
    bgArmed: digit(Field.bgArmed),
    blocked: digit(Field.blocked),
    extra: digit(Field.extra),
    timer: digit(Field.timer),
    nested: Math.floor(key / Field.nested),
  };
}
