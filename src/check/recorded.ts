import { catalogue, Source, sourceKinds } from '../decode/catalogue.js';
import { Kind, type KindName, kindNames } from '../events/kinds.js';

/**
 * What shows a kind where no probe records it: any of the lists, each of whose kinds must be recorded. A put by the
 * scheduler and one at the end of KVM_RUN leave different records, so sched_switch alone does not show all puts.
 */
const shownBy: Partial<Record<KindName, readonly (readonly KindName[])[]>> = {
  load: [['timer_load'], ['restore']],
  put: [['timer_put'], ['save'], ['sched_switch', 'userspace_exit']],
  schedule: [['wfx']],
  unschedule: [['halt_end']],
};

/**
 * Effects that a model implies: a native trace may leave them out. Of every other kind its silence means that it did
 * not happen, because what somebody writes by hand is meant to be the whole story.
 */
const impliedKinds: readonly KindName[] = [
  'save',
  'restore',
  'set_active',
  'set_affinity',
  'mask_irq',
  'set_cntvoff',
  'set_cntpoff',
  'set_traps',
  // Functions of every round that mostly do nothing.
  'flush',
  'sync',
];

/** What a trace has shown so far, and so what it records: what it does not record may have happened all the same. */
export class Recorded {
  /** Number of kinds and sources seen: no answer changes but with this number. */
  version = 0;
  /** Every save and restore is recorded, each as part of a put or load. */
  traced = true;
  /** A thread has run without a record: what comes in whatever thread is current may be missing. */
  leavesOutThreads = false;
  readonly #isStory: () => boolean;
  readonly #sources = new Uint8Array(catalogue.events.length);
  readonly #kinds = new Uint8Array(kindNames.length);
  /** By kind: whether the trace records it (1 yes, 2 no, 0 not asked), as of `version` being `#answered`. */
  readonly #answers = new Uint8Array(kindNames.length);
  #answered = 0;

  /** @param isStory whether the trace is one whole story, of which silence tells */
  constructor(isStory: () => boolean) {
    this.#isStory = isStory;
  }

  /** The trace is one whole story, of which silence tells. */
  get isStory(): boolean {
    return this.#isStory();
  }

  /** There is a record of a source, an index into the catalogue. */
  source(source: number): void {
    if (this.#sources[source] === 1) return;
    this.#sources[source] = 1;
    this.version++;
  }

  /** There is an event of a kind. */
  kind(kind: Kind): void {
    if (this.#kinds[kind] === 1) return;
    this.#kinds[kind] = 1;
    this.version++;
  }

  /** Whether there was an event of a kind. */
  hasKind(kind: Kind): boolean {
    return this.#kinds[kind] === 1;
  }

  /** Whether there was a record of a source, an index into the catalogue. */
  hasSource(source: number): boolean {
    return this.#sources[source] === 1;
  }

  /** As `shows`, asked at every event. */
  records(kind: Kind): boolean {
    if (this.#answered !== this.version) {
      this.#answered = this.version;
      this.#answers.fill(0);
    }
    let answer = this.#answers[kind];
    if (answer === 0) {
      answer = this.shows(kindNames[kind] as KindName) ? 1 : 2;
      this.#answers[kind] = answer;
    }
    return answer === 1;
  }

  /** Whether the trace records a kind, or shows it, or would if there were an occasion. */
  shows(kind: KindName): boolean {
    if (this.hasKind(Kind[kind])) return true;
    const isStory = this.#isStory();
    // Up to 4.16 every ioctl of a vcpu loads and puts it: what a probe shows of the one shows nothing of the other.
    if (kind === 'put' && this.hasKind(Kind.load) && !this.hasKind(Kind.save) && !this.hasKind(Kind.timer_put))
      return isStory;
    if (shownBy[kind]?.some((others) => others.every((other) => this.hasKind(Kind[other]) && this.#tells(other))))
      return true;
    if (isStory) {
      if (kind === 'save') return this.hasKind(Kind.restore);
      if (kind === 'restore') return this.hasKind(Kind.save);
      return !impliedKinds.includes(kind);
    }
    return sourceKinds.some(([source, shows]) => shows === kind && this.#sources[Source[source]] === 1);
  }

  /** Whether a kind shows another one: up to 5.0 a save is not always a put's, nor a restore a load's. */
  #tells(kind: KindName): boolean {
    return this.traced || (kind !== 'save' && kind !== 'restore');
  }
}
