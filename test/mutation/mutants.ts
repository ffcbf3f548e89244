import type { Call, Design, KernelFunction, Operate, Statement } from '../../src/models/design.js';
import { statementLines } from '../../src/report/design.js';

export const mutations = ['left out', 'doubled', 'swapped', 'misplaced'] as const;
export type Mutation = (typeof mutations)[number];

/** A design with one effect broken. */
export interface Mutant {
  /** `kvm_timer_vcpu_put 2: wr CNTVOFF_EL2 := 0, left out`. */
  readonly name: string;
  readonly mutation: Mutation;
  /** Role of the function, and the effect as it is printed. */
  readonly role: string;
  readonly effect: string;
  /** Role of the call behind it, empty where there is none. */
  readonly next: string;
  /** The effect itself. */
  readonly broken: Operate | Call;
  readonly design: Design;
}

/** Where a statement stands: in which function, and through which lists. */
type Path = readonly (readonly ['body' | 'else', number])[];

const isEffect = (statement: Statement): statement is Operate | Call =>
  'call' in statement || ('do' in statement && !['irqs_off', 'irqs_on', 'guest'].includes(statement.do));

interface Place {
  readonly path: Path;
  readonly effect: Operate | Call;
  /** The statement behind it in its list. */
  readonly next: Statement | undefined;
}

function places(statements: readonly Statement[], path: Path, list: 'body' | 'else'): Place[] {
  return statements.flatMap((statement, index) => {
    const here: Path = [...path, [list, index]];
    if ('if' in statement)
      return [...places(statement.body, here, 'body'), ...places(statement.else ?? [], here, 'else')];
    return isEffect(statement) ? [{ path: here, effect: statement, next: statements[index + 1] }] : [];
  });
}

/** A body in which the list that holds a place has been replaced. */
function edited(
  statements: readonly Statement[],
  path: Path,
  edit: (list: Statement[], index: number) => Statement[],
): Statement[] {
  const [[, index], ...rest] = path as [Path[number], ...Path];
  if (rest.length === 0) return edit([...statements], index);
  return statements.map((statement, at) => {
    if (at !== index || !('if' in statement)) return statement;
    const [[list]] = rest as [Path[number]];
    return list === 'body'
      ? { ...statement, body: edited(statement.body, rest, edit) }
      : { ...statement, else: edited(statement.else ?? [], rest, edit) };
  });
}

const withBody = (design: Design, role: string, change: (body: readonly Statement[]) => Statement[]): Design => ({
  ...design,
  functions: design.functions.map((each) => (each.role === role ? { ...each, body: change(each.body) } : each)),
});

/** Functions that may take a misplaced effect: those that exist only to be called for one thing have no room. */
function elsewhere(design: Design, { role }: KernelFunction): KernelFunction {
  const others = design.functions.filter((each) => each.role !== role && each.hyp !== true && each.role !== 'run');
  const at = design.functions.findIndex((each) => each.role === role);
  return others.find((each) => design.functions.indexOf(each) > at) ?? (others[0] as KernelFunction);
}

/** Every effect of every function left out, doubled, swapped with what follows it, and moved to another function. */
export function mutantsOf(design: Design): Mutant[] {
  return design.functions.flatMap((each) =>
    places(each.body, [], 'body').flatMap(({ path, effect, next }, number): Mutant[] => {
      const line = statementLines(design, [effect])[0]!;
      const mutant = (mutation: Mutation, broken: Design, detail = ''): Mutant => ({
        name: `${each.kernel} ${number + 1}: ${line.text}, ${mutation}${detail}`,
        mutation,
        role: each.role,
        effect: line.text,
        broken: effect,
        next: next !== undefined && 'call' in next ? next.call : '',
        design: broken,
      });
      const edit = (change: (list: Statement[], index: number) => Statement[]) =>
        withBody(design, each.role, (body) => edited(body, path, change));
      const without = edit((list, index) => list.toSpliced(index, 1));
      const other = elsewhere(design, each);
      return [
        mutant('left out', without),
        mutant(
          'doubled',
          edit((list, index) => list.toSpliced(index, 0, effect)),
        ),
        ...(next === undefined
          ? []
          : [
              mutant(
                'swapped',
                edit((list, index) => list.toSpliced(index, 2, next, effect)),
              ),
            ]),
        mutant(
          'misplaced',
          withBody(without, other.role, (body) => [effect, ...body]),
          ` to ${other.kernel}`,
        ),
      ];
    }),
  );
}
