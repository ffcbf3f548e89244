import type { Naming } from '../check/findings.js';
import type { ObservedTrace, Observer } from '../check/observe.js';
import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import type { VcpuState } from '../machine/state.js';
import { BehaviourRecorder } from './behaviour/recorder.js';
import { BlockCosts } from './cost/blocks.js';
import { Steps } from './divergence/steps.js';
import { Blocks } from './noise/index.js';
import { BlockStats } from './stats.js';

/**
 * What is kept of one recording, in memory that does not grow with it: each part of the comparison looks on with an
 * observer of its own.
 */
export class Profile implements Observer {
  /** What is kept by block tells how much of a difference is chance. */
  readonly blocks = new Blocks();
  readonly behaviour: BehaviourRecorder;
  readonly steps: Steps;
  readonly stats: BlockStats;
  readonly costs = this.blocks.keep(new BlockCosts());

  constructor(naming: Naming) {
    this.behaviour = new BehaviourRecorder(naming, this.blocks);
    this.stats = new BlockStats(this.blocks);
    this.steps = new Steps(naming);
  }

  begin(trace: ObservedTrace): void {
    this.stats.begin(trace);
    this.costs.begin(trace);
  }

  event(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void {
    this.blocks.advance(event.time);
    // Named one by one: a call in a loop over all of them would find another class each time.
    this.behaviour.event(event);
    this.stats.event(event, machine, vcpu);
    this.costs.event(event, machine, vcpu);
    if (this.steps.room > 0) this.steps.event(event, machine, vcpu);
  }

  end(time: number): void {
    this.behaviour.end();
    this.stats.end(time);
    this.costs.end();
    this.steps.end();
    this.blocks.end();
  }
}
