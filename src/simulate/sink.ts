import type { TimerEvent } from '../events/event.js';
import type { Call, Operate, Role } from '../models/design.js';
import type { SimCpu, SimVcpu } from './state.js';

/** Takes the events of a simulation; the event is reused. */
export type Recorder = (event: TimerEvent) => void;

/** Is told each effect that a design has, as it happens: to count them as §2f of the specification does, or to list them. */
export interface EffectSink {
  effect(effect: Operate | Call, role: Role, cpu: SimCpu, vcpu: SimVcpu | undefined): void;
  /** A condition has read a register: CTL of a timer that is loaded, or the counter to compare CVAL with. */
  read?(register: 'ctl' | 'cntpct', cpu: SimCpu): void;
}
