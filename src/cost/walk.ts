import { Timer } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount } from '../machine/state.js';
import type {
  ContextName,
  Guard,
  GuardName,
  KernelFunction,
  Operate,
  OperationName,
  RecordOf,
  Role,
  Statement,
  Value,
} from '../models/design.js';
import { type CostKind, operationCost } from './kinds.js';
import { type Decision, type Effect, extraOf, type Path, recordOf, roleOf } from './path.js';
import { type Episode, type Known3, Nesting, type Surroundings, usual } from './situation.js';
import { symbolOf } from './symbols.js';

/** Most ways through one function that are looked at. */
const mostPaths = 2048;

/** Deepest nesting of calls. */
const deepest = 16;

interface Frame {
  readonly role: Role;
  readonly timer: number;
  readonly value: number | undefined;
  /** The argument `new`, as the caller spells it. */
  readonly operand: Value | undefined;
  /** Guards that the function has evaluated: it keeps their values. */
  readonly asked: Set<string>;
}

/**
 * Goes through the functions of a design for one episode, along every way that what is known leaves open. What a guard
 * cannot be answered with is decided both ways, the usual one first; a decision holds until an operation changes it.
 */
export class Walk {
  readonly #surroundings: Surroundings;
  readonly #functions: ReadonlyMap<Role, KernelFunction>;
  readonly #known: Known3;
  /** Whether saves of this episode were shown to leave a timer that can fire, by timer. */
  readonly #saved: ReadonlyMap<number, boolean>;
  #facts = new Map<string, boolean>();
  #choices: boolean[] = [];
  #next = 0;
  #decisions: Decision[] = [];
  #effects: Effect[] = [];
  #reads: CostKind[] = [];
  #depth = 0;
  #part: 'enter' | 'leave' | undefined;
  #suspended = false;

  constructor(surroundings: Surroundings, known: Known3, saved: ReadonlyMap<number, boolean>) {
    this.#surroundings = surroundings;
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
      this.#begin(episode);
      this.#call(roleOf[episode], this.#timerOf(episode), undefined, undefined);
      paths.push({
        effects: this.#effects,
        reads: this.#reads,
        decisions: this.#decisions,
        unusual: this.#decisions.filter(({ guard, value }) => value !== usual[guard]).length,
      });
      open = this.#backtrack();
    }
    return paths;
  }

  #begin(episode: Episode): void {
    const known = this.#known;
    this.#facts = new Map();
    this.#decisions = [];
    this.#effects = [];
    this.#reads = [];
    this.#next = 0;
    this.#depth = 0;
    this.#suspended = this.#part === 'leave';
    const fact = (name: string, value: number) => {
      if (value !== 2) this.#facts.set(name, value === 1);
    };
    fact('enabled', known.enabled);
    fact(`level:${Timer.vtimer}`, known.level);
    fact(`can_fire:${Timer.vtimer}`, known.canFire);
    fact(`can_fire:${Timer.ptimer}`, known.ptimerCanFire);
    fact('bg_armed', known.bgArmed);
    fact('blocking', known.blocked);
    if (!this.#surroundings.nests || known.nested === Nesting.none) this.#facts.set('nested', false);
    else if (known.nested !== Nesting.unknown) this.#facts.set('nested', true);
    for (let timer = 0; timer < contextCount; timer++) {
      if (this.#isInHardware(timer)) fact(`loaded:${timer}`, known.loaded);
      else this.#facts.set(`loaded:${timer}`, false);
    }
    const extra = extraOf[episode];
    if (extra !== undefined) fact(extra, known.extra);
    if (episode === 'enter' || episode === 'leave') this.#facts.set('enabled', true);
  }

  /** Whether a timer can be loaded: from 5.1 on the physical one, too, on VHE hosts. */
  #isInHardware(timer: number): boolean {
    if ((timer === Timer.hvtimer || timer === Timer.hptimer) !== this.#isHypervisor) return false;
    if (timer === this.#directVtimer) return this.#hasLoadedFlag;
    return this.#functions.has('load_irq') && this.#surroundings.host !== 'nvhe';
  }

  get #isHypervisor(): boolean {
    return this.#surroundings.nests && this.#known.nested === Nesting.hypervisor;
  }

  get #directVtimer(): number {
    return this.#isHypervisor ? Timer.hvtimer : Timer.vtimer;
  }

  get #directPtimer(): number {
    return this.#isHypervisor ? Timer.hptimer : Timer.ptimer;
  }

  get #hasLoadedFlag(): boolean {
    return this.#surroundings.design.id !== 'world-switch';
  }

  #timerOf(episode: Episode): number {
    const { timer } = this.#known;
    if (episode === 'irq' && this.#isHypervisor) return timer === 0 ? Timer.hptimer : Timer.hvtimer;
    return timer === 2 || episode === 'enter' || episode === 'leave' ? Timer.vtimer : timer;
  }

  /** Turns the last decision that has not been. @returns false when all have */
  #backtrack(): boolean {
    const made = this.#decisions.map(({ value }) => value);
    let last = made.length - 1;
    while (last >= 0 && made[last] !== usual[this.#decisions[last]!.guard]) last--;
    if (last < 0) return false;
    this.#choices = [...made.slice(0, last), !made[last]!];
    return true;
  }

  // --- statements ---------------------------------------------------------------

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
    if (this.#part === undefined || this.#hasLoadedFlag) return false;
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
        const holds = statement.if.every((guard) => this.#holds(guard, frame));
        if (this.#execute(holds ? statement.body : (statement.else ?? []), frame)) return true;
      } else if ('record' in statement) this.#record(statement, frame);
      else if ('call' in statement) {
        const timer = this.#timer(statement.of, frame);
        if (timer === undefined) continue;
        const value = statement.value === undefined ? frame.value : this.#value(statement.value, { ...frame, timer });
        const operand = statement.value === undefined || statement.value === 'new' ? frame.operand : statement.value;
        this.#call(statement.call, timer, value, operand);
      } else if ('do' in statement) {
        const timer = this.#timer(statement.of, frame);
        if (timer !== undefined) this.#operate(statement, { ...frame, timer });
      }
    }
    return false;
  }

  /** The timer that a name stands for; undefined when the map has none. */
  #timer(name: ContextName | undefined, frame: Frame): number | undefined {
    switch (name) {
      case undefined:
      case 'x':
        return frame.timer;
      case 'vtimer':
        return Timer.vtimer;
      case 'ptimer':
        return Timer.ptimer;
      case 'direct_vtimer':
        return this.#directVtimer;
      case 'direct_ptimer':
        return this.#isHypervisor || this.#guard('vhe', frame) ? this.#directPtimer : undefined;
      case 'emul_vtimer':
        if (!this.#guard('nested', frame)) return undefined;
        return this.#isHypervisor ? Timer.vtimer : Timer.hvtimer;
      case 'emul_ptimer':
        if (this.#guard('nested', frame)) return this.#isHypervisor ? Timer.ptimer : Timer.hptimer;
        return this.#guard('vhe', frame) ? undefined : Timer.ptimer;
    }
  }

  #operate(operation: Operate, frame: Frame): void {
    const { do: name, viaHyp } = operation;
    const { timer } = frame;
    const value = operation.value === undefined ? undefined : this.#value(operation.value, frame);
    const kind = recordOf[name];
    const level = name === 'mask' ? 1 : name === 'unmask' ? 0 : (value ?? 0);
    this.#effects.push({
      operation: name,
      timer,
      role: frame.role,
      cost: operationCost[name],
      viaHyp: viaHyp === true && !this.#guard('vhe', frame),
      value,
      operand: operation.value === 'new' ? frame.operand : operation.value,
      symbol: kind === undefined ? -1 : symbolOf(Kind[kind], timer, level),
    });
    this.#apply(name, value, frame);
  }

  /** What later guards of the same episode see of an operation. */
  #apply(name: OperationName, value: number | undefined, { timer }: Frame): void {
    const set = (fact: string, to: number | undefined) => {
      if (to === undefined) this.#facts.delete(fact);
      else this.#facts.set(fact, to === 1);
    };
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
        this.#facts.delete(`should_fire:${timer}`);
        if (canFire !== undefined) this.#facts.set(`can_fire:${timer}`, canFire);
        return;
      }
      case 'clear_ctl':
        this.#facts.set(`can_fire:${timer}`, false);
        this.#facts.set(`should_fire:${timer}`, false);
        return;
      case 'write_register':
        this.#facts.delete(`can_fire:${timer}`);
        this.#facts.delete(`should_fire:${timer}`);
        return;
      case 'bg_arm':
        this.#facts.set('bg_armed', true);
        return;
      case 'bg_cancel':
        this.#facts.set('bg_armed', false);
        return;
      default:
    }
  }

  #record({ record, of }: RecordOf, frame: Frame): void {
    const timer = this.#timer(of, frame) ?? frame.timer;
    if (record !== 'save' && record !== 'restore' && record !== 'update_irq' && record !== 'emulate') return;
    let value: number | undefined;
    if (record === 'update_irq') value = frame.value ?? 0;
    if (record === 'emulate') value = this.#shouldFire({ ...frame, timer }) ? 1 : 0;
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
        record === 'update_irq' || record === 'emulate' || this.#guard('enabled', frame)
          ? symbolOf(Kind[record], timer, record === 'save' ? 2 : (value ?? 0))
          : -1,
    });
  }

  // --- guards and operands --------------------------------------------------------

  #holds(guard: Guard, frame: Frame): boolean {
    return guard.startsWith('!')
      ? !this.#guard(guard.slice(1) as GuardName, frame)
      : this.#guard(guard as GuardName, frame);
  }

  #guard(guard: GuardName, frame: Frame): boolean {
    const { timer } = frame;
    const { host, hasPtimer, activeState, inKernelIrqchip, gicv5, cntpoff } = this.#surroundings;
    switch (guard) {
      case 'vhe':
        return host === undefined ? this.#decide('vhe', -1) : host === 'vhe';
      case 'has_ptimer':
        return hasPtimer ?? this.#decide(guard, -1);
      case 'active_state':
        return activeState ?? this.#decide(guard, -1);
      case 'in_kernel_irqchip':
        return inKernelIrqchip ?? this.#decide(guard, -1);
      case 'gicv5':
        return gicv5 ?? this.#decide(guard, -1);
      case 'cntpoff':
        return cntpoff;
      case 'virtual':
        return timer === Timer.vtimer || timer === Timer.hvtimer;
      case 'direct':
        return timer === this.#directVtimer || (timer === this.#directPtimer && this.#guard('vhe', frame));
      case 'should_fire':
        return this.#shouldFire(frame);
      case 'any_should_fire':
        return this.#timers(frame).some((each) => this.#shouldFire({ ...frame, timer: each }));
      case 'any_can_fire':
        return this.#timers(frame).some((each) => this.#canFire(each));
      case 'can_fire':
        return this.#canFire(timer);
      case 'output_changed':
        return this.#shouldFire(frame) !== this.#decide('level', timer);
      case 'want_active':
        return this.#decide('level', timer) || this.#decide('vgic_active', timer);
      case 'hw_firing':
        this.#read('ctl_read', `hw_firing:${timer}`, frame);
        return this.#decide(guard, timer);
      case 'deadline_ahead':
        this.#read('cntpct_read', guard, frame);
        return this.#decide(guard, -1);
      case 'loaded':
      case 'level':
      case 'vgic_active':
      case 'lr_pending':
        return this.#decide(guard, timer);
      default:
        return this.#decide(guard, -1);
    }
  }

  #timers(frame: Frame): readonly number[] {
    return this.#guard('has_ptimer', frame) ? [Timer.vtimer, Timer.ptimer] : [Timer.vtimer];
  }

  /** kvm_timer_irq_can_fire. */
  #canFire(timer: number): boolean {
    if (this.#facts.get(`should_fire:${timer}`) === true) return true;
    return this.#decide('can_fire', timer);
  }

  /** kvm_timer_should_fire: of a loaded timer by its CTL, of another one by its deadline, if it can fire. */
  #shouldFire(frame: Frame): boolean {
    const { timer } = frame;
    const inHardware =
      this.#surroundings.design.shouldFire === 'hardware' && this.#facts.get(`loaded:${timer}`) === true;
    if (inHardware) {
      this.#read('ctl_read', `should_fire:${timer}`, frame);
      return this.#decide('should_fire', timer);
    }
    if (!this.#canFire(timer)) return false;
    this.#read('cntpct_read', `should_fire:${timer}`, frame);
    return this.#decide('should_fire', timer);
  }

  /** A read of a register, which a function does once for all that it asks of it. */
  #read(cost: CostKind, what: string, { asked }: Frame): void {
    if (asked.has(what)) return;
    asked.add(what);
    this.#reads.push(cost);
  }

  /** What is known, or decided: both ways in turn. */
  #decide(guard: GuardName, timer: number): boolean {
    const name = timer < 0 ? guard : `${guard}:${timer}`;
    const fact = this.#facts.get(name);
    if (fact !== undefined) return fact;
    const value = this.#choices[this.#next] ?? usual[guard];
    this.#next++;
    this.#decisions.push({ guard, timer, value });
    this.#facts.set(name, value);
    return value;
  }

  /** An operand; booleans as 0 and 1, undefined where no record tells it. */
  #value(value: Value, frame: Frame): number | undefined {
    const { timer } = frame;
    const flag = (yes: boolean) => (yes ? 1 : 0);
    switch (value) {
      case true:
      case false:
        return flag(value);
      case 'new':
        return frame.value;
      case 'NULL':
        return 0;
      case 'vcpu':
        return 1;
      case 'should_fire':
        return flag(this.#shouldFire(frame));
      case 'line':
        return flag(this.#guard('hw_firing', frame));
      case 'level':
        return flag(this.#decide('level', timer));
      case '!level':
        return flag(!this.#decide('level', timer));
      case 'vgic_active':
        return flag(this.#decide('vgic_active', timer));
      case 'level || vgic_active':
        return flag(this.#guard('want_active', frame));
      case '!(level || vgic_active)':
        return flag(!this.#guard('want_active', frame));
      case 'should_fire || vgic_active':
        return flag(this.#shouldFire(frame) || this.#decide('vgic_active', timer));
      case 'earliest':
        for (const each of this.#timers(frame))
          if (this.#canFire(each)) this.#read('cntpct_read', `deadline:${each}`, frame);
        return undefined;
      case 'deadline':
        this.#read('cntpct_read', `deadline:${timer}`, frame);
        return undefined;
      case 'vm_offset':
      case 'offset':
      case '0':
      case 'guest':
      case 'host':
        return undefined;
    }
  }
}
