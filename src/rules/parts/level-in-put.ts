import { Certainty, Context, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { no, type TimerContext } from '../../machine/state.js';
import type { RuleContext } from '../context.js';
import { Slots, timerText, vcpuName } from '../support.js';

/**
 * From 5.1 on a direct timer's level is reported by its handler, by a load and by a reset, each of which looks up the
 * timer map first (get_timer_map), and by no put: what the vcpu's thread reports after the save, with no other look at
 * the map, is the put's.
 */
export class LevelInPut {
  readonly #context: RuleContext;
  /** By vcpu: the last look at its timer map outside of interrupts. */
  readonly #maps = new Slots();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  /** kvm_get_timer_map. */
  mapped(event: TimerEvent): void {
    if (event.vcpu >= 0 && event.context === Context.task) this.#maps.set(event.vcpu, event);
  }

  /** kvm_timer_update_irq of a vcpu and timer that are known. */
  reported(event: TimerEvent): void {
    const map = this.#maps.get(event.vcpu);
    if (map === undefined || event.context !== Context.task || event.attribution >= Certainty.approximate) return;
    const { machine } = this.#context;
    const vcpu = machine.vcpu(event.vcpu);
    const { loaded, save } = vcpu.contexts[event.timer] as TimerContext;
    if (loaded !== no || vcpu.isEmulated(event.timer) || vcpu.unseen || save.pid !== event.pid) return;
    // 5.1 and 5.2 report as well what userspace has written.
    if (save.serial < map.serial || vcpu.last[Kind.userspace_exit].serial > save.serial) return;
    this.#context.violate(event, {
      message: 'in-put',
      data: { timer: timerText(event.timer), vcpu: vcpuName(machine, event.vcpu), level: event.level },
      witness: [map, save],
    });
  }

  /** Records were lost, and looks at the map with them. */
  lost(): void {
    this.#maps.each((_, vcpu) => this.#maps.clear(vcpu));
  }
}
