import { exceptionClassNames, exitCodeNames } from '../../events/exceptions.js';

/** Why a vcpu was loaded: what its put was for. */
export enum LoadAfter {
  preemption,
  sleep,
  userspace,
  unknown,
}

const loadWords = ['after a preemption', 'after a sleep', 'after userspace', 'first seen'] as const;

/** Classes of exceptions are below this (ESR_ELx.EC has six bits). */
const classes = 64;
const loads = 0;
const preemption = 4;
const interrupts = 8;
const exits = 16;

/** Exception class of a stage-2 fault on an instruction fetch: the host's memory, not the guest's doing. */
const instructionAbort = 0x20;
const systemRegister = 0x18;

/** What a piece of a vcpu's path is the handling of, as a small number. */
export const segmentKind = {
  load: (after: LoadAfter): number => loads + after,
  /** A put that the scheduler made: it cuts into any handling, which then has no path of its own. */
  preemption: preemption as number,
  /** An interrupt of the guest's timer, or the end of its hrtimer. @param inGuest whether it interrupted the guest */
  interrupt: (inGuest: boolean): number => interrupts + (inGuest ? 1 : 0),
  /** An interrupt's exit has no class, whatever the record says (4.x prints a stale one). */
  exit: (code: number, exceptionClass: number): number =>
    code === 0 ? exits : exits + 1 + (code < 0 ? 4 : Math.min(code, 3)) * classes + Math.max(0, exceptionClass),
} as const;

export function isLoad(kind: number): boolean {
  return kind < preemption;
}

/** Whether a piece is a handler that cut into another one. */
export function isInterrupt(kind: number): boolean {
  return kind >= interrupts && kind < exits;
}

/** Whether such a handler interrupted the guest. */
export function inGuest(kind: number): boolean {
  return kind === segmentKind.interrupt(true);
}

/** The class of a trap, -1 for everything that is none. */
function trapClass(kind: number): number {
  return kind <= exits ? -1 : (kind - exits - 1) % classes;
}

/** Whether the guest's own work determines that this happens. */
export function isGuestStep(kind: number, trapsTimer: boolean): boolean {
  const exceptionClass = trapClass(kind);
  return (
    exceptionClass >= 0 && exceptionClass !== instructionAbort && (trapsTimer || exceptionClass !== systemRegister)
  );
}

/** In words, as the subject of a sentence. */
export function segmentWords(kind: number): string {
  if (kind === preemption) return 'put by preemption';
  if (kind < interrupts) return `load ${loadWords[kind as LoadAfter]}`;
  if (kind < exits) return `timer interrupt ${kind === interrupts ? 'outside the guest' : 'in the guest'}`;
  if (kind === exits) return 'exit by interrupt';
  const code = Math.floor((kind - exits - 1) / classes);
  const name = exceptionClassNames.get(trapClass(kind)) ?? `class 0x${trapClass(kind).toString(16)}`;
  return code === 2 || code === 4 ? `exit by ${name}` : `exit by ${exitCodeNames[code]} ${name}`;
}
