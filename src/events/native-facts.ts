/**
 * Facts that a native trace states of its recording, beside its rows: in CSV a comment `# NAME: VALUE`, in JSONL a key
 * of an object without `event`. Here are the facts whose value has parts; what a fact means is in `factsSchema`.
 */
import { type ConditionKind, conditions } from './conditions.js';
import { formatOrigin, formatSeconds } from './native-values.js';

/** Seconds with nine decimals; negative where a recorder moved the clock. Damage may make any number of them. */
export const originPattern = /^-?\d{1,32}\.\d{9}$/;
/** Counter frequencies that are accepted, Hz. */
export const frequencyRange = { min: 1_000_000, max: 10_000_000_000 } as const;
/** A 64-bit count. */
export const countPattern = /^0x[0-9a-f]{1,16}$/;
/** `KIND COUNT [DETAIL]`, the count at most `Number.MAX_SAFE_INTEGER`. */
export const conditionPattern = /^([a-z-]{1,40}) ([1-9]\d{0,15})(?: ([\s\S]+))?$/;
/** `CPU SECONDS idle|busy`, the time counted from the first record of the trace. */
export const cpuEndPattern = /^(\d{1,5}) (-?\d{1,32}\.\d{9}) (idle|busy)$/;

/** How a recording was incomplete or strange. */
export interface StatedCondition {
  readonly kind: ConditionKind;
  readonly count: number;
  readonly detail: string | undefined;
}

export function formatCondition(kind: ConditionKind, count: number, detail: string | undefined): string {
  return `${kind} ${count}${detail === undefined || detail === '' ? '' : ` ${detail}`}`;
}

/** @returns undefined when the text is none, or names a condition that does not exist */
export function parseCondition(text: string): StatedCondition | undefined {
  const [, kind, count, detail] = conditionPattern.exec(text) ?? [];
  if (kind === undefined || !Object.hasOwn(conditions, kind)) return undefined;
  if (!Number.isSafeInteger(Number(count))) return undefined;
  return { kind: kind as ConditionKind, count: Number(count), detail };
}

/** The last record of a CPU. */
export interface StatedEnd {
  readonly cpu: number;
  /** Nanoseconds since the first record of the trace; negative where that was not the earliest. */
  readonly time: number;
  /** Whether the CPU ran no thread then. */
  readonly idle: boolean;
}

export function formatCpuEnd({ cpu, time, idle }: StatedEnd): string {
  return `${cpu} ${formatOrigin(BigInt(time))} ${idle ? 'idle' : 'busy'}`;
}

/** @returns undefined when the text is none */
export function parseCpuEnd(text: string): StatedEnd | undefined {
  const [, cpu, seconds, state] = cpuEndPattern.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  return { cpu: Number(cpu), time: Number(parseOrigin(seconds)), idle: state === 'idle' };
}

/** @returns nanoseconds, undefined when the text is no time with nine decimals */
export function parseOrigin(text: string): bigint | undefined {
  return originPattern.test(text) ? BigInt(text.replace('.', '')) : undefined;
}

/** A time of an event in the clock of its trace, in seconds. @param time nanoseconds since `origin` */
export function formatTime(time: number, origin: bigint | undefined): string {
  return origin === undefined ? formatSeconds(time) : formatOrigin(origin + BigInt(time)).replace(/000$/, '');
}
