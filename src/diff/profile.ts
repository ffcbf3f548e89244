import type { Naming } from '../check/findings.js';
import type { ObservedTrace, Observer } from '../check/observe.js';
import type { Episodes } from '../cost/episodes.js';
import type { VcpuSlot } from '../cost/slots.js';
import type { TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import type { VcpuState } from '../machine/state.js';
import type { Clocks } from '../stats/collector.js';
import { BehaviourRecorder, type VcpuBehaviour } from './behaviour/recorder.js';
import { BlockCosts } from './cost/blocks.js';
import { Steps, type Walk } from './divergence/steps.js';
import { Blocks } from './noise/index.js';
import { BlockStats } from './stats.js';

/** What each part of a profile keeps of one vcpu. */
interface VcpuParts {
  readonly vcpu: VcpuState;
  readonly behaviour: VcpuBehaviour;
  readonly clocks: Clocks;
  readonly slot: VcpuSlot | undefined;
  readonly walk: Walk;
}

/**
 * What is kept of one recording, in memory that does not grow with it: each part of the comparison looks on for itself,
 * but what they keep of a vcpu is looked for once.
 */
export class Profile implements Observer {
  /** What is kept by block tells how much of a difference is chance. */
  readonly blocks = new Blocks();
  readonly behaviour: BehaviourRecorder;
  readonly steps: Steps;
  readonly stats: BlockStats;
  readonly costs = this.blocks.keep(new BlockCosts());
  readonly #vcpus: VcpuParts[] = [];
  /** Of the last event with a vcpu: those of one vcpu come in runs. */
  #last: VcpuParts | undefined;
  /** Of the costs; undefined when no model fits. */
  #episodes: Episodes | undefined;

  constructor(naming: Naming) {
    this.behaviour = new BehaviourRecorder(naming, this.blocks);
    this.stats = new BlockStats(this.blocks);
    this.steps = new Steps(naming);
  }

  begin(trace: ObservedTrace): void {
    this.stats.begin(trace);
    this.costs.begin(trace);
    this.#episodes = this.costs.episodes;
  }

  event(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void {
    this.blocks.advance(event.time);
    if (vcpu === undefined) return this.#ofNoVcpu(event, machine);
    const last = this.#last;
    const { behaviour, clocks, slot, walk } = last !== undefined && last.vcpu === vcpu ? last : this.#turn(vcpu);
    // Named one by one: a call in a loop over all of them would find another class each time.
    behaviour.event(event);
    this.stats.ofVcpu(event, vcpu, clocks);
    if (slot !== undefined) this.#episodes?.ofVcpu(event, machine, vcpu, slot);
    if (!this.steps.cut) this.#step(event, vcpu, walk);
  }

  end(time: number): void {
    this.behaviour.end();
    this.stats.end(time);
    this.costs.end();
    if (!this.steps.cut) this.steps.certainties = this.behaviour.certainties();
    this.steps.end();
    this.blocks.end();
  }

  #step(event: TimerEvent, vcpu: VcpuState, walk: Walk): void {
    this.steps.event(event, vcpu, walk);
    if (this.steps.cut) this.steps.certainties = this.behaviour.certainties();
  }

  /** The host's own event, or one that is not known for a vcpu's. */
  #ofNoVcpu(event: TimerEvent, machine: Machine): void {
    this.behaviour.ofNoVcpu(event.kind);
    this.stats.event(event, machine, undefined);
    this.costs.event(event, machine, undefined);
    if (event.kind === Kind.lost) this.steps.loss();
  }

  /** Another vcpu than the last one has an event. */
  #turn(vcpu: VcpuState): VcpuParts {
    const parts = this.#vcpus[vcpu.index] ?? this.#meet(vcpu);
    this.#last = parts;
    return parts;
  }

  #meet(vcpu: VcpuState): VcpuParts {
    const { index } = vcpu;
    const parts = {
      vcpu,
      behaviour: this.behaviour.vcpu(index),
      clocks: this.stats.clocks(index),
      slot: this.#episodes?.slot(index),
      walk: this.steps.walk(index),
    };
    this.#vcpus[index] = parts;
    return parts;
  }
}
