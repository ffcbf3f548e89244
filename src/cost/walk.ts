import { Kind } from '../events/kinds.js';
import type { KernelFunction, Operate, OperationName, RecordOf, Role, Statement, Value } from '../models/design.js';
import { type Frame, Guards } from './guards.js';
import { operationCost } from './kinds.js';
import { type Effect, type Path, recordOf, roleOf } from './path.js';
import { type Episode, type Known3, Nesting, type Surroundings } from './situation.js';
import { symbolOf } from './symbols.js';

/** Most ways through one function that are looked at. */
const mostPaths = 2048;

/** Deepest nesting of calls. */
const deepest = 16;

/**
 * Goes through the functions of a design for one episode, along every way that what is known leaves open (see `Guards`).
 */
export class Walk {
  readonly #functions: ReadonlyMap<Role, KernelFunction>;
  readonly #known: Known3;
  /** Whether saves of this episode were shown to leave a timer that can fire, by timer. */
  readonly #saved: ReadonlyMap<number, boolean>;
  readonly #guards: Guards;
  #effects: Effect[] = [];
  #depth = 0;
  #part: 'enter' | 'leave' | undefined;
  #suspended = false;

  constructor(surroundings: Surroundings, known: Known3, saved: ReadonlyMap<number, boolean>) {
    this.#guards = new Guards(surroundings, known);
    this.#functions = new Map(surroundings.design.functions.map((each) => [each.role, each]));
    this.#known = known;
    this.#saved = saved;
  }

  /** Every way through the function of an episode; one without effects where the design has no such function. */
  paths(episode: Episode): Path[] {
    const paths: Path[] = [];
    this.#part = episode === 'enter' || episode === 'leave' ? episode : undefined;
    let open = true;
    while (open && paths.length < mostPaths) {
      this.#guards.begin(episode);
      this.#effects = [];
      this.#depth = 0;
      this.#suspended = this.#part === 'leave';
      this.#call(roleOf[episode], this.#guards.timerOf(episode), undefined, undefined);
      paths.push({ effects: this.#effects, ...this.#guards.taken });
      open = this.#guards.backtrack();
    }
    return paths;
  }

  #call(role: Role, timer: number, value: number | undefined, operand: Value | undefined): void {
    const called = this.#functions.get(role);
    if (called === undefined || this.#isApart(role) || ++this.#depth > deepest) return;
    this.#execute(called.body, { role, timer, value, operand, asked: new Set() });
    this.#depth--;
    // The work item does the rest of the callback.
    if (role === 'bg_expire' && this.#effects.some(({ operation }) => operation === 'queue_work'))
      this.#call('bg_work', timer, undefined, undefined);
  }

  /** Whether a call is left out: an episode of its own, whose records are told apart, or nothing for this vcpu. */
  #isApart(role: Role): boolean {
    if (this.#depth === 0) return false;
    if (role === 'put' || role === 'load') return true;
    // Only the hypervisor's own exits need it.
    if (role === 'sync_nested') return this.#known.nested === Nesting.guest;
    // Up to 4.14 flush and sync lie before the entry and after the exit, where records tell them apart.
    if (this.#part === undefined || this.#guards.hasLoadedFlag) return false;
    return role === 'flush' || role === 'sync';
  }

  /** @returns true when the function returns */
  #execute(statements: readonly Statement[], frame: Frame): boolean {
    for (const statement of statements) {
      if (this.#part !== undefined && frame.role === 'run' && 'do' in statement && statement.do === 'guest') {
        if (this.#part === 'enter') return true;
        this.#suspended = false;
        continue;
      }
      if (this.#suspended) continue;
      if ('return' in statement) return true;
      if ('if' in statement) {
        const holds = statement.if.every((guard) => this.#guards.holds(guard, frame));
        if (this.#execute(holds ? statement.body : (statement.else ?? []), frame)) return true;
      } else if ('record' in statement) this.#record(statement, frame);
      else if ('call' in statement) {
        const timer = this.#guards.timer(statement.of, frame);
        if (timer === undefined) continue;
        const value =
          statement.value === undefined ? frame.value : this.#guards.value(statement.value, { ...frame, timer });
        const operand = statement.value === undefined || statement.value === 'new' ? frame.operand : statement.value;
        this.#call(statement.call, timer, value, operand);
      } else if ('do' in statement) {
        const timer = this.#guards.timer(statement.of, frame);
        if (timer !== undefined) this.#operate(statement, { ...frame, timer });
      }
    }
    return false;
  }

  #operate(operation: Operate, frame: Frame): void {
    const { do: name, viaHyp } = operation;
    const { timer } = frame;
    const value = operation.value === undefined ? undefined : this.#guards.value(operation.value, frame);
    const kind = recordOf[name];
    const level = name === 'mask' ? 1 : name === 'unmask' ? 0 : (value ?? 0);
    this.#effects.push({
      operation: name,
      timer,
      role: frame.role,
      cost: operationCost[name],
      viaHyp: viaHyp === true && !this.#guards.guard('vhe', frame),
      value,
      operand: operation.value === 'new' ? frame.operand : operation.value,
      symbol: kind === undefined ? -1 : symbolOf(Kind[kind], timer, level),
    });
    this.#apply(name, value, frame);
  }

  /** What later guards of the same episode see of an operation. */
  #apply(name: OperationName, value: number | undefined, { timer }: Frame): void {
    const set = (fact: string, to: number | undefined) =>
      this.#guards.set(fact, to === undefined ? undefined : to === 1);
    switch (name) {
      case 'set_loaded':
        set(`loaded:${timer}`, value);
        return;
      case 'set_level':
        set(`level:${timer}`, value);
        return;
      case 'set_enabled':
        set('enabled', value);
        return;
      case 'set_active_cleared_last':
        set('active_cleared_last', value);
        return;
      case 'rd_ctl': {
        const canFire = this.#saved.get(timer);
        this.#guards.set(`should_fire:${timer}`, undefined);
        if (canFire !== undefined) this.#guards.set(`can_fire:${timer}`, canFire);
        return;
      }
      case 'clear_ctl':
        this.#guards.set(`can_fire:${timer}`, false);
        this.#guards.set(`should_fire:${timer}`, false);
        return;
      case 'write_register':
        this.#guards.set(`can_fire:${timer}`, undefined);
        this.#guards.set(`should_fire:${timer}`, undefined);
        return;
      case 'bg_arm':
        this.#guards.set('bg_armed', true);
        return;
      case 'bg_cancel':
        this.#guards.set('bg_armed', false);
        return;
      default:
    }
  }

  #record({ record, of }: RecordOf, frame: Frame): void {
    const timer = this.#guards.timer(of, frame) ?? frame.timer;
    if (record !== 'save' && record !== 'restore' && record !== 'update_irq' && record !== 'emulate') return;
    let value: number | undefined;
    if (record === 'update_irq') value = frame.value ?? 0;
    if (record === 'emulate') value = this.#guards.shouldFire({ ...frame, timer }) ? 1 : 0;
    this.#effects.push({
      operation: 'record',
      timer,
      role: frame.role,
      cost: record === 'update_irq' ? 'report' : undefined,
      viaHyp: false,
      value,
      operand: undefined,
      // A call that finds the vcpu not enabled touches no register, and is no event.
      symbol:
        record === 'update_irq' || record === 'emulate' || this.#guards.guard('enabled', frame)
          ? symbolOf(Kind[record], timer, record === 'save' ? 2 : (value ?? 0))
          : -1,
    });
  }
}
