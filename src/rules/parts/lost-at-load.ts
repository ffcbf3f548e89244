import { canFire, Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { no, type TimerContext } from '../../machine/state.js';
import type { RuleContext } from '../context.js';
import type { Message, ViolatingExample } from '../rule.js';
import { Slots, timerText, vcpuName } from '../support.js';

// 4.15 to 5.0: what the background timer fired for has to be reported by the load (kvm_timer_vcpu_load): the part of
// soft-timer-follows-emulated-context that is about a vcpu that sleeps.

export const lostMessages: Readonly<Record<string, Message>> = {
  'lost-at-load': {
    headline:
      'the {timer} of {vcpu} has expired while the vcpu slept, and the load on CPU {cpu} does not raise its level',
    given:
      'the background timer of {vcpu} fired and was not armed again, and the saved vtimer cannot fire: it was the {timer} that expired',
    must: 'the next load raises the level of the {timer}',
    but: 'the vcpu went on without it',
    therefore:
      'the interrupt is lost, and the guest may wait for it for ever: the known bug that 7afc4ddbf299 and 245715cbe83c fix (4.15 to 4.18)',
  },
};

export const lostExamples: readonly ViolatingExample[] = [
  {
    title: 'the physical timer expires while the vcpu sleeps, and its load does not look (7afc4ddbf299)',
    model: 'load-put-4.16',
    trace:
      'event,vcpu,cpu,timer,ctl,cval,level,irq\nload,0,0\nrestore,0,0,vtimer,0,0\nupdate_irq,0,0,,,,0,30\nentry,0,0\nexit,0,0\nschedule,0,0\nsave,0,0,vtimer,0,0\nbg_arm,0,0\nput,0,0\nbg_expire,0,0\nload,0,0\nput,0,0\n',
    message: 'lost-at-load',
    line: 12,
  },
];

/** Follows the physical timers that have expired while their vcpus slept. */
export class LostAtLoad {
  readonly #context: RuleContext;
  /** By vcpu: the background timer has fired since it was armed, and no load has told for which timer. */
  readonly #fired = new Slots();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  /** The background timer of a vcpu has fired. */
  fired(event: TimerEvent): void {
    this.#fired.set(event.vcpu, event);
  }

  /** It is armed anew, or the registers may have changed. */
  forget(vcpu: number): void {
    this.#fired.clear(vcpu);
  }

  /** A level is reported. */
  reported(event: TimerEvent): void {
    if (event.vcpu < 0 || event.timer !== Timer.ptimer || event.level !== 1) return;
    const fire = this.#fired.take(event.vcpu);
    if (fire !== undefined) this.#context.hold(fire);
  }

  /** The vcpu goes on: its load has told what it had to. */
  goesOn(event: TimerEvent): void {
    const fire = this.#fired.isEmpty || event.vcpu < 0 ? undefined : this.#fired.take(event.vcpu);
    if (fire === undefined) return;
    const { machine, model } = this.#context;
    const vcpu = machine.vcpu(event.vcpu);
    const load = vcpu.last[Kind.load];
    if (load.serial < fire.serial) return;
    const vtimer = vcpu.contexts[Timer.vtimer] as TimerContext;
    const ptimer = vcpu.contexts[Timer.ptimer] as TimerContext;
    const isPtimer = vtimer.saveValid && vtimer.save.serial < fire.serial && !canFire(vtimer.save.ctl);
    if (!isPtimer || ptimer.level !== no || vcpu.unseen) return;
    this.#context.violate(event, {
      message: 'lost-at-load',
      data: { vcpu: vcpuName(machine, event.vcpu), timer: timerText(Timer.ptimer), cpu: load.cpu },
      witness: [vtimer.save, fire],
      at: load,
      ...(model.id !== 'load-put-5.0' && { severity: 'info' }),
    });
  }
}
