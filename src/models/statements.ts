import type { KindName } from '../events/kinds.js';
import type {
  Basis,
  Call,
  ContextName,
  Guard,
  If,
  KernelFunction,
  Operate,
  OperationName,
  RecordOf,
  Return,
  Role,
  Statement,
  Value,
} from './design.js';

// The words in which designs are written, so that they read like the kernel's functions.

/** An operation on the function's timer, or on another one. */
export const op = (name: OperationName, value?: Value, of?: ContextName): Operate => ({
  do: name,
  ...(value !== undefined && { value }),
  ...(of !== undefined && { of }),
});

/** An operation through a hypercall. */
export const hyp = (name: OperationName, value: Value): Operate => ({ do: name, value, viaHyp: true });

export const call = (role: Role, of?: ContextName, value?: Value): Call => ({
  call: role,
  ...(of !== undefined && { of }),
  ...(value !== undefined && { value }),
});

export const record = (kind: KindName, of?: ContextName): RecordOf => ({
  record: kind,
  ...(of !== undefined && { of }),
});

export const when = (
  guards: Guard | readonly Guard[],
  body: readonly Statement[],
  otherwise?: readonly Statement[],
): If => ({
  if: typeof guards === 'string' ? [guards] : guards,
  // A body may be repeated by reference; a list of its own lets each place be told apart.
  body: [...body],
  ...(otherwise !== undefined && { else: [...otherwise] }),
});

export const done: Return = { return: true };
export const returnIf = (...guards: readonly Guard[]): If => ({ if: guards, body: [done] });
export const bugOn = (guard: Guard): Statement => ({ bugOn: guard });

interface Properties {
  readonly event?: KindName;
  readonly note?: string;
  readonly hyp?: true;
  readonly irqsOff?: true;
  readonly basis?: Basis;
}

/** A function; verified unless said otherwise. */
export const fn = (role: Role, kernel: string, properties: Properties, body: readonly Statement[]): KernelFunction => ({
  role,
  kernel,
  basis: 'verified',
  ...properties,
  body,
});

/** The functions of a generation as those of an earlier one, with some replaced, added behind, or left out. */
export function changed(
  functions: readonly KernelFunction[],
  replacements: readonly KernelFunction[],
  without: readonly Role[] = [],
): readonly KernelFunction[] {
  const replaced = new Map(replacements.map((replacement) => [replacement.role, replacement]));
  const known = new Set(functions.map(({ role }) => role));
  return [
    ...functions.filter(({ role }) => !without.includes(role)).map((each) => replaced.get(each.role) ?? each),
    ...replacements.filter(({ role }) => !known.has(role)),
  ];
}
