import { Kind } from '../events/kinds.js';
import type { Host } from '../machine/machine.js';
import { designs } from '../models/designs/index.js';
import type { ModelId } from '../models/model.js';
import { type Derivation, derive } from './derive.js';
import type { Episodes } from './episodes.js';
import { knownOf } from './key.js';
import type { Surroundings } from './situation.js';

/** What must be known of a trace before its operations can be derived. */
export interface CostSetting {
  /** Models that the trace may be of: the last is taken. */
  readonly candidates: readonly ModelId[];
  readonly host: Host | undefined;
  readonly kernel: () => string | undefined;
  records(kind: Kind): boolean;
}

/** What an episode did, and the symbols of its records. */
export interface Derived {
  readonly derivation: Derivation;
  readonly symbols: readonly number[];
  /** Not all of its records were seen: they are not compared. */
  readonly incomplete: boolean;
}

/** From 4.11 on there is a physical timer. @param release as uname says it */
function hasPtimer(release: string | undefined): boolean | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release ?? '') ?? [];
  if (major === undefined) return undefined;
  return Number(major) > 4 || (Number(major) === 4 && Number(minor) >= 11);
}

/** What the whole of a recording tells beside its design. */
function surroundingsOf(episodes: Episodes, setting: CostSetting): Surroundings {
  const id = setting.candidates[setting.candidates.length - 1]!;
  const has = (kind: Kind) => episodes.seen[kind] === 1;
  return {
    design: designs[id],
    host: setting.host,
    hasPtimer: id === 'world-switch' ? hasPtimer(setting.kernel()) : id !== 'rfc-load-put',
    // The vgic of 4.16 and later ties the guest's interrupt to one whose active state the host can write.
    activeState: has(Kind.set_active) || has(Kind.vgic_inject) ? true : has(Kind.mask_irq) ? false : undefined,
    inKernelIrqchip: has(Kind.vgic_inject) ? true : undefined,
    gicv5: episodes.gicv5 ? true : has(Kind.vgic_inject) ? false : undefined,
    nests: id === 'offset' || id === 'stateless-level',
    cntpoff: has(Kind.set_cntpoff),
  };
}

/** Derives what the nodes of a trie stand for, each once as long as the trace shows nothing new. */
export class Deriver {
  readonly #episodes: Episodes;
  readonly #setting: CostSetting;
  readonly #derived = new Map<number, Derived>();
  /** Kinds that the trace had shown when these were derived. */
  #kinds = 0;

  constructor(episodes: Episodes, setting: CostSetting) {
    this.#episodes = episodes;
    this.#setting = setting;
  }

  derive(node: number): Derived {
    const episodes = this.#episodes;
    if (this.#kinds !== episodes.kinds) this.#derived.clear();
    this.#kinds = episodes.kinds;
    const known = this.#derived.get(node);
    if (known !== undefined) return known;
    const { episode, key, symbols, incomplete } = episodes.trie.read(node);
    const isRecorded = (kind: Kind) => this.#setting.records(kind);
    const surroundings = surroundingsOf(episodes, this.#setting);
    const derivation = derive(surroundings, episode, knownOf(key), symbols, isRecorded, !incomplete);
    const derived = { derivation, symbols, incomplete };
    this.#derived.set(node, derived);
    return derived;
  }
}
