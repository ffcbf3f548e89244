import { exceptionClassNames, exitCodeNames } from '../events/exceptions.js';

/** Classes of exceptions are below this (ESR_ELx.EC has six bits). */
const classes = 64;

/** Why the guest was left, as one number. @param exitClass -1 where the exit has none */
export function exitReason(exitCode: number, exitClass: number): number {
  return (exitCode + 1) * (classes + 1) + exitClass + 1;
}

/** The exit code and class of an `exitReason`. */
function reasonParts(reason: number): readonly [exitCode: number, exitClass: number] {
  return [Math.floor(reason / (classes + 1)) - 1, (reason % (classes + 1)) - 1];
}

/** `IRQ`, or the exception class of a trap. */
export function reasonName(reason: number): string {
  const [code, exitClass] = reasonParts(reason);
  const name = code < 0 ? 'unknown' : (exitCodeNames[code] ?? `0x${code.toString(16)}`);
  if (exitClass < 0) return name;
  return `${name} ${exceptionClassNames.get(exitClass) ?? `0x${exitClass.toString(16)}`}`;
}
