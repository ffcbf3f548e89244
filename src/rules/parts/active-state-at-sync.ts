import { Context, isVirtual, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { yes } from '../../machine/state.js';
import type { RuleContext, RuleHandlers } from '../context.js';
import { Marks, Occasion, when } from '../occasion.js';
import type { Example, Message, ViolatingExample } from '../rule.js';
import { Slots, timerText, vcpuName } from '../support.js';

// From 4.16 on, and so dist-active-cleared-on-lower there: the sync of an exit lowers the level, and clears the active
// state or unmasks the interrupt, only for a vcpu whose interrupt controller is in userspace (unmask_vtimer_irq_user).

export const syncMessages: Readonly<Record<string, Message>> = {
  'not-cleared': {
    headline: 'the sync of {vcpu} lowers the level of its {timer} and leaves the interrupt off on CPU {cpu}',
    given: 'the sync of an exit reported level 0 of the {timer} of {vcpu}',
    must: 'it clears the active state of the interrupt, or unmasks it where there is no such state',
    but: 'the exit was over without that',
    therefore: 'the next expiry does not interrupt the host, and the guest learns it with the next load',
  },
  'vgic-lowered': {
    headline: 'the sync of {vcpu} lowers the level of its {timer}, which the vgic does itself',
    given: 'the interrupts of {vcpu} are injected into the vgic',
    must: 'the sync does nothing: the vgic samples the line when it takes back its list registers',
    but: 'level 0 was reported in an exit of the guest',
    therefore: 'the physical interrupt is made inactive under a virtual one that the guest has not ended',
  },
};

export const syncExamples: { readonly legal: readonly Example[]; readonly violating: readonly ViolatingExample[] } = {
  legal: [
    {
      title: 'userspace irqchip: lowered, and the active state cleared, before the exit is over',
      model: 'timer-map',
      trace:
        'event,vcpu,cpu,timer,irq,level,ctl,cval,context\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nupdate_irq,0,0,,27,0,,,task\nset_active,0,0,vtimer,,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,,,0,0\n',
    },
  ],
  violating: [
    {
      title: 'userspace irqchip: lowered, and the interrupt stays active',
      model: 'timer-map',
      trace:
        'event,vcpu,cpu,timer,irq,level,ctl,cval,context\nload,0,0\nset_active,0,0,vtimer,,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nupdate_irq,0,0,,27,0,,,task\nexit,0,0\nput,0,0\nsave,0,0,vtimer,,,0,0\n',
      message: 'not-cleared',
      line: 11,
    },
    {
      title: 'the level of a vcpu with a vgic is lowered in an exit',
      model: 'timer-map',
      trace:
        'event,vcpu,cpu,timer,irq,level,ctl,cval,context\nload,0,0\nupdate_irq,0,0,,27,0\nvgic_inject,0,0,,27,0\nentry,0,0\nupdate_irq,0,0,,27,0,,,task\nvgic_inject,0,0,,27,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,,,0,0\n',
      message: 'vgic-lowered',
      line: 6,
    },
  ],
};

export function activeStateAtSync(context: RuleContext): RuleHandlers {
  const { machine } = context;
  /** Vcpus whose interrupts have not been injected into a vgic. */
  const without = new Marks();
  machine.whenAdded((vcpu) => without.add(vcpu.index));
  const inExit = new Occasion();
  /** By vcpu: the sync under way has lowered its level. */
  const lowered = new Slots(inExit);
  /** By CPU: the record of this exit that switched its interrupt on again. */
  const switched = new Slots(inExit);

  function violate(event: TimerEvent, message: string, timer: number, witness: TimerEvent[]): void {
    context.violate(event, {
      message,
      data: { timer: timerText(timer), vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
      witness,
    });
  }

  /** An active state that is cleared, an interrupt that is unmasked. */
  const switchedOn = when(without.occasion, (event) => {
    const { running } = machine.cpu(event.cpu);
    if (event.level !== 0 || !isVirtual(event.timer) || !without.has(running)) return;
    if (machine.vcpu(running).inGuest === yes) switched.set(event.cpu, event);
  });

  return {
    before: {
      vgic_inject: when(without.occasion, (event) => {
        without.delete(event.vcpu);
      }),
      set_active: switchedOn,
      mask_irq: switchedOn,
      update_irq(event) {
        if (event.level !== 0 || event.vcpu < 0 || event.context !== Context.task || !isVirtual(event.timer)) return;
        const vcpu = machine.vcpu(event.vcpu);
        // A nested hypervisor's exit evaluates the timers of its guest.
        if (vcpu.inGuest !== yes || vcpu.isEmulated(event.timer) || machine.cpu(event.cpu).inTimerIrq === yes) return;
        if (without.has(event.vcpu)) lowered.set(event.vcpu, event);
        else violate(event, 'vgic-lowered', event.timer, [vcpu.last[Kind.entry]]);
      },
      exit: when(inExit, (event) => {
        const on = switched.take(event.cpu);
        const low = event.vcpu < 0 ? undefined : lowered.take(event.vcpu);
        if (low === undefined) return;
        if (on !== undefined) context.hold(low);
        else if (context.records(Kind.set_active) || context.records(Kind.mask_irq))
          violate(event, 'not-cleared', low.timer, [low]);
      }),
      lost() {
        lowered.each((_, vcpu) => lowered.clear(vcpu));
        switched.each((_, cpu) => switched.clear(cpu));
      },
    },
  };
}
