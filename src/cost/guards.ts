import { Timer } from '../events/event.js';
import { contextCount } from '../machine/state.js';
import type { ContextName, Guard, GuardName, Role, Value } from '../models/design.js';
import type { CostKind } from './kinds.js';
import { type Decision, extraOf, type Path } from './path.js';
import { type Episode, type Known3, Nesting, type Surroundings, usual } from './situation.js';

/** A call of a function of a design. */
export interface Frame {
  readonly role: Role;
  readonly timer: number;
  readonly value: number | undefined;
  /** The argument `new`, as the caller spells it. */
  readonly operand: Value | undefined;
  /** Guards that the function has evaluated: it keeps their values. */
  readonly asked: Set<string>;
}

/**
 * Answers guards and operands of a design along one way through an episode. What nothing known answers is decided both
 * ways in turn, the usual one first; a decision holds until an operation changes it.
 */
export class Guards {
  readonly #surroundings: Surroundings;
  readonly #known: Known3;
  /** The design loads the physical timer as well. */
  readonly #loadsBoth: boolean;
  #facts = new Map<string, boolean>();
  #choices: boolean[] = [];
  #next = 0;
  #decisions: Decision[] = [];
  #reads: CostKind[] = [];

  constructor(surroundings: Surroundings, known: Known3) {
    this.#surroundings = surroundings;
    this.#known = known;
    this.#loadsBoth = surroundings.design.functions.some(({ role }) => role === 'load_irq');
  }

  /** The episode begins, with what is known of it. */
  begin(episode: Episode): void {
    const known = this.#known;
    this.#facts = new Map();
    this.#decisions = [];
    this.#reads = [];
    this.#next = 0;
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

  /** What the way has taken so far. */
  get taken(): Pick<Path, 'reads' | 'decisions' | 'unusual'> {
    const decisions = this.#decisions;
    const unusual = decisions.filter(({ guard, value }) => value !== usual[guard]).length;
    return { reads: this.#reads, decisions, unusual };
  }

  /** An operation has changed what guards ask for. @param value undefined where it is not known any more */
  set(fact: string, value: boolean | undefined): void {
    if (value === undefined) this.#facts.delete(fact);
    else this.#facts.set(fact, value);
  }

  /** Whether a timer can be loaded: from 5.1 on the physical one, too, on VHE hosts. */
  #isInHardware(timer: number): boolean {
    if ((timer === Timer.hvtimer || timer === Timer.hptimer) !== this.isHypervisor) return false;
    if (timer === this.#directVtimer) return this.hasLoadedFlag;
    return this.#loadsBoth && this.#surroundings.host !== 'nvhe';
  }

  get isHypervisor(): boolean {
    return this.#surroundings.nests && this.#known.nested === Nesting.hypervisor;
  }

  get #directVtimer(): number {
    return this.isHypervisor ? Timer.hvtimer : Timer.vtimer;
  }

  get #directPtimer(): number {
    return this.isHypervisor ? Timer.hptimer : Timer.ptimer;
  }

  get hasLoadedFlag(): boolean {
    return this.#surroundings.design.id !== 'world-switch';
  }

  timerOf(episode: Episode): number {
    const { timer } = this.#known;
    if (episode === 'irq' && this.isHypervisor) return timer === 0 ? Timer.hptimer : Timer.hvtimer;
    return timer === 2 || episode === 'enter' || episode === 'leave' ? Timer.vtimer : timer;
  }

  /** Turns the last decision that has not been. @returns false when all have */
  backtrack(): boolean {
    const made = this.#decisions.map(({ value }) => value);
    let last = made.length - 1;
    while (last >= 0 && made[last] !== usual[this.#decisions[last]!.guard]) last--;
    if (last < 0) return false;
    this.#choices = [...made.slice(0, last), !made[last]!];
    return true;
  }

  /** The timer that a name stands for; undefined when the map has none. */
  timer(name: ContextName | undefined, frame: Frame): number | undefined {
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
        return this.isHypervisor || this.guard('vhe', frame) ? this.#directPtimer : undefined;
      case 'emul_vtimer':
        if (!this.guard('nested', frame)) return undefined;
        return this.isHypervisor ? Timer.vtimer : Timer.hvtimer;
      case 'emul_ptimer':
        if (this.guard('nested', frame)) return this.isHypervisor ? Timer.ptimer : Timer.hptimer;
        return this.guard('vhe', frame) ? undefined : Timer.ptimer;
    }
  }

  holds(guard: Guard, frame: Frame): boolean {
    return guard.startsWith('!')
      ? !this.guard(guard.slice(1) as GuardName, frame)
      : this.guard(guard as GuardName, frame);
  }

  guard(guard: GuardName, frame: Frame): boolean {
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
        return timer === this.#directVtimer || (timer === this.#directPtimer && this.guard('vhe', frame));
      case 'should_fire':
        return this.shouldFire(frame);
      case 'any_should_fire':
        return this.#timers(frame).some((each) => this.shouldFire({ ...frame, timer: each }));
      case 'any_can_fire':
        return this.#timers(frame).some((each) => this.#canFire(each));
      case 'can_fire':
        return this.#canFire(timer);
      case 'output_changed':
        return this.shouldFire(frame) !== this.#decide('level', timer);
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
    return this.guard('has_ptimer', frame) ? [Timer.vtimer, Timer.ptimer] : [Timer.vtimer];
  }

  /** kvm_timer_irq_can_fire. */
  #canFire(timer: number): boolean {
    if (this.#facts.get(`should_fire:${timer}`) === true) return true;
    return this.#decide('can_fire', timer);
  }

  /** kvm_timer_should_fire: of a loaded timer by its CTL, of another one by its deadline, if it can fire. */
  shouldFire(frame: Frame): boolean {
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
  value(value: Value, frame: Frame): number | undefined {
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
        return flag(this.shouldFire(frame));
      case 'line':
        return flag(this.guard('hw_firing', frame));
      case 'level':
        return flag(this.#decide('level', timer));
      case '!level':
        return flag(!this.#decide('level', timer));
      case 'vgic_active':
        return flag(this.#decide('vgic_active', timer));
      case 'level || vgic_active':
        return flag(this.guard('want_active', frame));
      case '!(level || vgic_active)':
        return flag(!this.guard('want_active', frame));
      case 'should_fire || vgic_active':
        return flag(this.shouldFire(frame) || this.#decide('vgic_active', timer));
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
