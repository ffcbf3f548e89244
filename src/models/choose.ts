import { Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { TimerName } from '../events/timer-names.js';
import type { Host } from '../machine/machine.js';
import { models } from './index.js';
import { type ModelId, modelIds } from './model.js';

/** What sources of records a trace has shown; `has` takes the name of a tracepoint or function. */
export interface SeenSources {
  has(name: string): boolean;
}

/** The models and hosts that the evidence leaves, and the evidence as sentences. */
export interface Choice {
  /** Empty when the kernel is of a generation without a model. */
  readonly candidates: readonly ModelId[];
  readonly modelReasons: readonly string[];
  readonly host: Host | undefined;
  readonly hostReasons: readonly string[];
}

/** Entries after which the absence of a record that comes with every entry is evidence. */
const enoughEntries = 16;

/** Levels lowered by syncs after an exit that tell. */
const enoughLowered = 4;

/** Tracepoints of the kvm system outside the timer: one of them shows that the whole system was enabled. */
const otherKvmEvents = ['kvm_guest_fault', 'kvm_halt_poll_ns', 'kvm_handle_sys_reg'];

/** The models of 4.15 to 5.0. */
const loadPutModels = ['load-put-4.15', 'load-put-4.16', 'load-put-5.0'] as const satisfies readonly ModelId[];

/** Written around every entry up to 6.13 (specification §3.3). */
const debugEvents = ['kvm_arm_setup_debug', 'kvm_arm_clear_debug', 'kvm_arm_set_dreg32'];

/**
 * Collects what tells a kernel's generation and host type (specification §2, "Model selector"): the shape of the
 * trace before version numbers, because distributions backport.
 */
export class Evidence {
  #shape: 'with-ev' | 'without-ev' | undefined;
  #shapePosition = 0;
  #host: Host | undefined;
  #hostPosition = 0;
  #timerNames = 0;
  #loadHooks = false;
  #affinityByLoad = 0;
  /** By CPU: the thread whose exit was its last event. */
  readonly #exited: number[] = [];
  #loweredAfterExit = 0;
  #entries = 0;
  #kernel: string | undefined;
  #named: string | undefined;
  #namedHost: string | undefined;
  /** First record that contradicts the shape seen before. */
  contradiction: { position: number; detail: string } | undefined;

  kernel(release: string): void {
    this.#kernel = release;
  }

  /** The author of a native trace names its model and host. */
  named(model: string | undefined, host: string | undefined): void {
    this.#named = model ?? this.#named;
    this.#namedHost = host ?? this.#namedHost;
  }

  event(event: TimerEvent): void {
    switch (event.kind) {
      case Kind.timer_map:
        this.#timerMap(event);
        return;
      case Kind.entry:
        this.#entries++;
        this.#exited[event.cpu] = -1;
        return;
      case Kind.exit:
        this.#exited[event.cpu] = event.pid;
        return;
      case Kind.update_irq:
        if (event.level === 0 && event.pid >= 0 && this.#exited[event.cpu] === event.pid) this.#loweredAfterExit++;
        return;
      case Kind.put:
      case Kind.userspace_exit:
      case Kind.sched_switch:
        this.#exited[event.cpu] = -1;
        return;
      case Kind.timer_load:
      case Kind.load:
        this.#loadHooks = true;
        return;
      case Kind.set_affinity:
        this.#affinityByLoad++;
        return;
      default:
    }
  }

  /** Names of the timer's interrupt and callbacks that were seen, a set of `TimerName`. */
  timerNames(names: number): void {
    this.#timerNames |= names;
  }

  #hasName(name: TimerName): boolean {
    return (this.#timerNames & name) !== 0;
  }

  /**
   * Syncs print after kvm_exit only up to 4.14 (specification §0.5, point 5); later ones lower no level or do it before.
   * So would an ioctl whose way through userspace is not recorded, but then the timer's interrupt shows the generation.
   */
  #syncsAfterExit(seen: SeenSources): boolean {
    if (this.#loweredAfterExit < enoughLowered) return false;
    return seen.has('kvm_userspace_exit') || !this.#hasName(TimerName.guest_timer);
  }

  /** Up to 5.0 the virtual timer's interrupt and the callbacks had other names. */
  get #oldNames(): boolean {
    return (this.#timerNames & ~TimerName.kvm_bg_timer_expire) !== 0;
  }

  #timerMap(event: TimerEvent): void {
    const shape = event.emulVtimer === Timer.unknown ? 'without-ev' : 'with-ev';
    if (this.#shape === undefined) {
      this.#shape = shape;
      this.#shapePosition = event.position;
    } else if (this.#shape !== shape && this.contradiction === undefined) {
      this.contradiction = { position: event.position, detail: 'timer maps with and without ev: in one trace' };
    }
    // Nested maps (dv 2) say the same of the host as plain ones: both direct timers exist on VHE only.
    const host = event.directPtimer >= 0 ? 'vhe' : 'nvhe';
    if (this.#host === undefined) {
      this.#host = host;
      this.#hostPosition = event.position;
    }
  }

  /** What the records say against a choice that was made before they came, or by the user. */
  against(choice: Choice): { position: number; detail: string } | undefined {
    if (this.contradiction !== undefined) return this.contradiction;
    const [model] = choice.candidates;
    if (model !== undefined && choice.candidates.length === 1 && this.#shape !== undefined) {
      const shaped = this.#shape === 'with-ev' ? ['offset', 'stateless-level'] : ['timer-map'];
      if (!shaped.includes(model))
        return {
          position: this.#shapePosition,
          detail: `kvm_get_timer_map ${this.#shape === 'with-ev' ? 'with' : 'without'} ev: is not of model ${model}`,
        };
    }
    if (choice.host !== undefined && this.#host !== undefined && choice.host !== this.#host)
      return {
        position: this.#hostPosition,
        detail: `the timer map is that of a ${this.#host} host, not ${choice.host}`,
      };
    return undefined;
  }

  /** Whether more records can hardly change the choice. */
  decisive(seen: SeenSources, model: ModelId | undefined): boolean {
    const shown = this.#shape !== undefined || this.#oldNames || this.#syncsAfterExit(seen);
    if (model === undefined && this.#named === undefined && !shown) return false;
    return this.choose(seen, model, undefined).candidates.length === 1;
  }

  choose(seen: SeenSources, model: ModelId | undefined, host: Host | undefined): Choice {
    const modelReasons: string[] = [];
    const candidates = this.#models(seen, model, modelReasons);
    const hostReasons: string[] = [];
    return { candidates, modelReasons, host: this.#chooseHost(host, hostReasons), hostReasons };
  }

  #models(seen: SeenSources, forced: ModelId | undefined, reasons: string[]): readonly ModelId[] {
    if (forced !== undefined) {
      reasons.push('named by --model');
      return [forced];
    }
    if (this.#named !== undefined) {
      const named = modelIds.find((id) => id === this.#named);
      if (named !== undefined) {
        reasons.push('named in the trace');
        return [named];
      }
      reasons.push(`the trace names the model "${this.#named}", which does not exist`);
    }
    if (this.#shape === 'without-ev') {
      reasons.push(`kvm_get_timer_map without ev: (first at ${this.#shapePosition}): 5.1 to 6.3`);
      return ['timer-map'];
    }
    if (this.#shape === 'with-ev') {
      reasons.push(`kvm_get_timer_map with ev: (first at ${this.#shapePosition}): 6.4 or later`);
      return this.#offsetOrStateless(seen, reasons);
    }
    if (this.#isRfc(seen)) {
      reasons.push('load hooks, irq_set_vcpu_affinity at every load, and no timer map: the RFC of December 2016');
      return ['rfc-load-put'];
    }
    if (this.#hasName(TimerName.kvm_timer_expire) || seen.has('kvm_timer_expire')) {
      reasons.push('the hrtimer callback is kvm_timer_expire: 4.14 or earlier');
      return ['world-switch'];
    }
    if (this.#syncsAfterExit(seen)) {
      reasons.push('levels are lowered between kvm_exit and what follows it, by syncs after the exit: 4.14 or earlier');
      return ['world-switch'];
    }
    if (this.#oldNames) {
      reasons.push(
        'the interrupt is named "kvm guest timer" or an hrtimer callback kvm_phys_timer_expire: 5.0 or earlier',
      );
      return this.#beforeTimerMap(loadPutModels, reasons);
    }
    const others = otherKvmEvents.filter((name) => seen.has(name));
    if (others.length > 1 && this.#entries >= enoughEntries && seen.has('kvm_timer_update_irq')) {
      reasons.push(
        `${others.join(' and ')} show that all kvm events were recorded, and kvm_get_timer_map, which 5.1 brought, is not among them: 5.0 or earlier`,
      );
      return this.#beforeTimerMap(['world-switch', ...loadPutModels], reasons);
    }
    return this.#byKernel(reasons);
  }

  #offsetOrStateless(seen: SeenSources, reasons: string[]): readonly ModelId[] {
    const debug = debugEvents.find((name) => seen.has(name));
    if (debug !== undefined) {
      reasons.push(`${debug} is recorded, which 6.14 removed: 6.13 or earlier`);
      return ['offset'];
    }
    const version = parseVersion(this.#kernel);
    if (version !== undefined) {
      reasons.push(`the input names kernel ${this.#kernel}`);
      return [version < 6014 ? 'offset' : 'stateless-level'];
    }
    const other = otherKvmEvents.find((name) => seen.has(name));
    if (other !== undefined && this.#entries >= enoughEntries) {
      reasons.push(
        `${this.#entries} entries and ${other}, but no kvm_arm_setup_debug, which up to 6.13 comes with every entry: 6.14 or later`,
      );
      return ['stateless-level'];
    }
    return ['offset', 'stateless-level'];
  }

  #isRfc(seen: SeenSources): boolean {
    return this.#loadHooks && this.#affinityByLoad >= 2 && (this.#oldNames || !seen.has('kvm_timer_save_state'));
  }

  #byKernel(reasons: string[]): readonly ModelId[] {
    const version = parseVersion(this.#kernel);
    if (version === undefined) {
      reasons.push('no timer map, interrupt name or kernel release was seen');
      return modelIds;
    }
    reasons.push(`the input names kernel ${this.#kernel}`);
    return ofVersion(version);
  }

  /** Among the models of 5.0 and earlier the version decides. */
  #beforeTimerMap(possible: readonly ModelId[], reasons: string[]): readonly ModelId[] {
    const version = parseVersion(this.#kernel);
    const named = version === undefined ? [] : ofVersion(version).filter((id) => possible.includes(id));
    if (named.length === 0) return possible;
    reasons.push(`the input names kernel ${this.#kernel}`);
    return named;
  }

  #chooseHost(forced: Host | undefined, reasons: string[]): Host | undefined {
    if (forced !== undefined) {
      reasons.push('named by --host');
      return forced;
    }
    if (this.#namedHost === 'vhe' || this.#namedHost === 'nvhe') {
      reasons.push('named in the trace');
      return this.#namedHost;
    }
    if (this.#host === undefined) {
      reasons.push('no timer map was seen');
      return undefined;
    }
    reasons.push(
      this.#host === 'vhe'
        ? `the timer map has a direct physical timer (dp, first at ${this.#hostPosition})`
        : `the timer map has no direct physical timer (dp: -1, first at ${this.#hostPosition})`,
    );
    return this.#host;
  }
}

/** The model of a kernel version as `parseVersion` gives it; none before 4.4. */
function ofVersion(version: number): readonly ModelId[] {
  return modelIds.filter((id) => {
    const [first, last] = models[id].span;
    return id !== 'rfc-load-put' && first <= version && version <= last;
  });
}

/** `6.1.0-50-arm64` as 6001; undefined when the text is no release. */
function parseVersion(release: string | undefined): number | undefined {
  const match = release?.match(/^(\d+)\.(\d+)/);
  return match === null || match === undefined ? undefined : Number(match[1]) * 1000 + Number(match[2]);
}
