import { Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { oldTimerNames, TimerName } from '../events/timer-names.js';
import type { Host } from '../machine/machine.js';
import { type ModelId, modelIds } from './model.js';
import { OldShape } from './old-shape.js';
import { RfcShape } from './rfc-shape.js';
import { SyncShape } from './sync-shape.js';
import { ofVersion, parseVersion } from './versions.js';

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

/** Tracepoints that came with the timer map. */
const timerMapEvents = [
  'kvm_timer_save_state',
  'kvm_timer_restore_state',
  'kvm_timer_emulate',
  'kvm_timer_hrtimer_expire',
] as const;

/** The models that have a timer map. */
const timerMapModels = ['timer-map', 'offset', 'stateless-level'] as const satisfies readonly ModelId[];

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
  readonly #rfc = new RfcShape();
  readonly #sync = new SyncShape();
  readonly #old = new OldShape();
  #chosen = false;
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
    if (this.#chosen) {
      if (event.kind === Kind.timer_map) this.#timerMap(event);
      return;
    }
    if (this.#shape === undefined) {
      this.#old.event(event);
      this.#rfc.event(event);
    }
    if (event.kind === Kind.timer_map) this.#timerMap(event);
    else this.#sync.event(event);
  }

  /** Names of the timer's interrupt and callbacks that were seen, a set of `TimerName`. */
  timerNames(names: number): void {
    this.#timerNames |= names;
  }

  #hasName(name: TimerName): boolean {
    return (this.#timerNames & name) !== 0;
  }

  /** An ioctl whose way through userspace is not recorded lowers levels too, but then the interrupt shows the generation. */
  #syncsAfterExit(seen: SeenSources): boolean {
    return this.#sync.followsExits && (seen.has('kvm_userspace_exit') || !this.#hasName(TimerName.guest_timer));
  }

  /** Up to 5.0 the virtual timer's interrupt and the callbacks had other names. */
  get #oldNames(): boolean {
    return (this.#timerNames & oldTimerNames) !== 0;
  }

  /** Names of 4.15 to 5.0: before, the interrupt is never handled, and the callback is another. */
  get #isLoadPut(): boolean {
    const old = TimerName.kvm_timer_inject_irq_work | TimerName.exit_0x2;
    if (this.#hasName(TimerName.kvm_bg_timer_expire)) return (this.#timerNames & old) !== 0 || this.#oldNames;
    return (this.#timerNames & (TimerName.guest_timer | TimerName.kvm_phys_timer_expire)) !== 0;
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

  /** The choice is made: from here on only what contradicts it is watched. */
  settle(): void {
    this.#chosen = true;
  }

  /** Whether more records can hardly change the choice. */
  decisive(seen: SeenSources, model: ModelId | undefined): boolean {
    const shown = this.#shape !== undefined || this.#oldNames || this.#syncsAfterExit(seen);
    if (model === undefined && this.#named === undefined && !shown) return false;
    const { candidates } = this.choose(seen, model, undefined);
    if (candidates.length !== 1) return false;
    // The RFC bears the names and the version of its base: what raises a level tells the two apart.
    if (model !== undefined || this.#named !== undefined || candidates[0] !== 'world-switch') return true;
    return this.#rfc.raisesElsewhere;
  }

  choose(seen: SeenSources, model: ModelId | undefined, host: Host | undefined): Choice {
    const modelReasons: string[] = [];
    const candidates = this.#models(seen, model, modelReasons);
    const hostReasons: string[] = [];
    return { candidates, modelReasons, host: this.#chooseHost(host, candidates, hostReasons), hostReasons };
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
    const traced = timerMapEvents.find((name) => seen.has(name));
    if (traced !== undefined) {
      reasons.push(`${traced} is recorded, which 5.1 brought`);
      return this.#withTimerMap(seen, reasons);
    }
    const rfc = this.#rfcReason(seen);
    if (rfc !== undefined) {
      reasons.push(`${rfc}: the RFC of December 2016`);
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
    if (this.#isLoadPut) {
      reasons.push(
        'the interrupt is named "kvm guest timer", or an hrtimer callback kvm_phys_timer_expire or kvm_bg_timer_expire without a timer map: 4.15 to 5.0',
      );
      return this.#loadPut(seen, reasons);
    }
    if (this.#oldNames) {
      reasons.push('kvm_exit prints a trap as 0x2, or the background timer wakes by a work item: 4.20 or earlier');
      return this.#beforeTimerMap(['world-switch', 'load-put-4.15', 'load-put-4.16'], reasons);
    }
    const others = otherKvmEvents.filter((name) => seen.has(name));
    if (
      others.length > 1 &&
      !this.#sync.repeatsLowered &&
      this.#sync.entries >= enoughEntries &&
      seen.has('kvm_timer_update_irq')
    ) {
      reasons.push(
        `${others.join(' and ')} show that all kvm events were recorded, and kvm_get_timer_map, which 5.1 brought, is not among them: 5.0 or earlier`,
      );
      return this.#beforeTimerMap(['world-switch', ...loadPutModels], reasons);
    }
    return this.#byKernel(reasons);
  }

  /** Where the timer map itself is not recorded, which tells 5.1 to 6.3 from what came then. */
  #withTimerMap(seen: SeenSources, reasons: string[]): readonly ModelId[] {
    const version = parseVersion(this.#kernel);
    const named = version === undefined ? [] : ofVersion(version);
    if (named.length > 0 && named.every((id) => timerMapModels.some((other) => other === id))) {
      reasons.push(`the input names kernel ${this.#kernel}`);
      return named;
    }
    // Where the map is left out, so may kvm_arm_setup_debug be: only its presence tells.
    const debug = debugEvents.find((name) => seen.has(name));
    if (debug === undefined) return timerMapModels;
    reasons.push(`${debug} is recorded, which 6.14 removed: 6.13 or earlier`);
    return timerMapModels.filter((id) => id !== 'stateless-level');
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
    if (other !== undefined && this.#sync.entries >= enoughEntries) {
      reasons.push(
        `${this.#sync.entries} entries and ${other}, but no kvm_arm_setup_debug, which up to 6.13 comes with every entry: 6.14 or later`,
      );
      return ['stateless-level'];
    }
    return ['offset', 'stateless-level'];
  }

  /** Why it is the RFC on its old base, whatever version the kernel says; undefined when nothing tells. */
  #rfcReason(seen: SeenSources): string | undefined {
    if (this.#rfc.clearsAtPut)
      return "loads set and puts clear the forwarded flag of the timer's interrupt (irq_set_vcpu_affinity), and there is no timer map";
    if (!this.#rfc.handlerWorks) return undefined;
    if (this.#hasName(TimerName.kvm_timer_expire) || seen.has('kvm_timer_expire'))
      return 'the handler of the timer interrupt works beside the hrtimer callback kvm_timer_expire, whose world switch never lets it run';
    const version = parseVersion(this.#kernel);
    return version !== undefined && version <= 4014
      ? `the handler of the timer interrupt works on ${this.#kernel}, whose world switch never lets it run`
      : undefined;
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

  /** The three generations of 4.15 to 5.0: by version, else by what only one or two of them do. */
  #loadPut(seen: SeenSources, reasons: string[]): readonly ModelId[] {
    const byVersion = this.#beforeTimerMap(loadPutModels, reasons);
    if (byVersion.length === 1) return byVersion;
    const lowered = this.#old.lowersAtSync;
    if (lowered !== undefined) {
      reasons.push(lowered);
      if ((this.#timerNames & (TimerName.kvm_bg_timer_expire | TimerName.kvm_phys_timer_expire)) !== 0)
        return ['load-put-4.15'];
      const merged = ['vtimer_save_state', 'vtimer_restore_state'].find((name) => seen.has(name));
      if (merged !== undefined) {
        reasons.push(`${merged} is probed, which the RFC of December 2016 does not have by that name`);
        return ['load-put-4.15'];
      }
      reasons.push('so does the RFC of December 2016, from which only names of callbacks and functions tell it');
      return ['rfc-load-put', 'load-put-4.15'];
    }
    const work = this.#hasName(TimerName.kvm_timer_inject_irq_work);
    const number = this.#hasName(TimerName.exit_0x2);
    if (work)
      reasons.push('the background timer wakes the vcpu by a work item, kvm_timer_inject_irq_work: 4.20 or earlier');
    if (number) reasons.push('kvm_exit prints a trap as 0x2: 4.19 or earlier');
    const repeats = this.#old.repeatsLevel;
    if (repeats !== undefined) reasons.push(repeats);
    if (this.#old.wakesDirectly && !work && !number) {
      reasons.push('kvm_bg_timer_expire wakes the vcpu itself: 5.0');
      return ['load-put-5.0'];
    }
    // An SError prints the same on 4.19, beside traps that print as 0x2.
    if (this.#hasName(TimerName.exit_TRAP) && !number && !work && this.#sync.entries >= enoughEntries) {
      reasons.push('kvm_exit prints a trap by name, and none as 0x2: 5.0 or later');
      return ['load-put-5.0'];
    }
    return loadPutModels.filter(
      (id) => !(repeats !== undefined && id === 'load-put-4.15') && !((work || number) && id === 'load-put-5.0'),
    );
  }

  /** Among the models of 5.0 and earlier the version decides. */
  #beforeTimerMap(possible: readonly ModelId[], reasons: string[]): readonly ModelId[] {
    const version = parseVersion(this.#kernel);
    const named = version === undefined ? [] : ofVersion(version).filter((id) => possible.includes(id));
    if (named.length === 0) return possible;
    reasons.push(`the input names kernel ${this.#kernel}`);
    return named;
  }

  /** Before 5.1 the host shows in nothing but the writes of CNTVOFF, from 4.16 on, where a probe records them. */
  #hostByOffset(candidates: readonly ModelId[], reasons: string[]): Host | undefined {
    const host = candidates.every((id) => keepingOffset.includes(id)) ? this.#old.host : undefined;
    if (host !== undefined) {
      reasons.push(
        `CNTVOFF is ${host === 'vhe' ? 'not ' : ''}set to zero at puts, which 4.16 to 5.0 do on non-VHE only`,
      );
      return host;
    }
    return this.#hostByIrq(reasons, candidates);
  }

  /** The host's own timer is the hypervisor's on VHE, whose interrupt is mapped behind the guest's, else one before it. */
  #hostByIrq(reasons: string[], candidates: readonly ModelId[]): Host | undefined {
    const below = this.#hasName(TimerName.arch_timer_below);
    if (below === this.#hasName(TimerName.arch_timer_above)) {
      reasons.push(
        candidates.length > 0 && candidates.every((id) => loadPutModels.some((other) => other === id))
          ? 'up to 5.0 VHE shows only in the number of the host timer interrupt and in writes of CNTVOFF, of which the trace has none'
          : 'no timer map was seen',
      );
      return undefined;
    }
    reasons.push(
      `the number of arch_timer's interrupt is ${below ? 'below' : 'above'} that of the guest timer: the host uses the ${below ? 'physical' : 'hypervisor'} timer`,
    );
    return below ? 'nvhe' : 'vhe';
  }

  #chooseHost(forced: Host | undefined, candidates: readonly ModelId[], reasons: string[]): Host | undefined {
    if (forced !== undefined) {
      reasons.push('named by --host');
      return forced;
    }
    if (this.#namedHost === 'vhe' || this.#namedHost === 'nvhe') {
      reasons.push('named in the trace');
      return this.#namedHost;
    }
    if (this.#host === undefined) {
      return this.#hostByOffset(candidates, reasons);
    }
    reasons.push(
      this.#host === 'vhe'
        ? `the timer map has a direct physical timer (dp, first at ${this.#hostPosition})`
        : `the timer map has no direct physical timer (dp: -1, first at ${this.#hostPosition})`,
    );
    return this.#host;
  }
}

/** The models whose put leaves CNTVOFF alone on VHE. */
const keepingOffset: readonly ModelId[] = ['load-put-4.16', 'load-put-5.0'];
