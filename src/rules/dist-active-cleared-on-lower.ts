import { Context, Ctl, canFire, Timer } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { because } from './context.js';
import { activeStateAtSync, syncExamples, syncMessages } from './parts/active-state-at-sync.js';
import { defineRule } from './rule.js';
import { cachingModels, everyModelSinceRfc, Slots, timerText, vcpuName } from './support.js';

/** Time in the host with interrupts on in which a pending interrupt is taken; nanoseconds. */
const takenWithin = 50_000;

export default defineRule({
  id: 'dist-active-cleared-on-lower',
  statement:
    'When the level is lowered at an exit without the guest having deactivated the interrupt, its active state at the distributor is cleared, so that the next expiry interrupts again.',
  why: 'An interrupt that stays active is not signalled: the next expiry is missed until the next load rewrites the state.',
  // 4.15 clears it in the sync that lowers the level; only the RFC lowers without clearing. Since 4.16 the vgic clears the
  // state when it folds its list registers, and the sync does so for vcpus without a vgic.
  models: everyModelSinceRfc('error'),
  needs: ['update_irq', ['save', 'set_active', 'mask_irq'], ['vtimer_irq', 'exit']],
  source: 'kvm_timer_sync_hwstate of the RFC, weak point W6; unmask_vtimer_irq in b103cc3f10c0; specification §4.5',
  messages: {
    ...syncMessages,
    'stays-active': {
      headline: 'the {timer} of {vcpu} has expired without an interrupt since its level was lowered',
      given: 'the level was lowered at an exit on CPU {cpu}, and no write cleared the active state',
      must: 'the next expiry interrupts the host again',
      but: 'the save found the timer expired, and no interrupt was taken since, although the host had them enabled',
      therefore: 'the physical interrupt was left active: expiries are missed until the next load',
    },
  },
  examples: {
    legal: [
      ...syncExamples.legal,
      {
        title: 'the guest has deactivated the interrupt: the next one comes',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,irq,level,timer,ctl,cval\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nupdate_irq,0,0,27,0\nexit,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nsave,0,0,,,vtimer,5,0x1000\n',
      },
    ],
    violating: [
      ...syncExamples.violating,
      {
        title: 'the guest masked its timer without acknowledging; the next expiry is silent (W6)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,irq,level,timer,ctl,cval,time\nload,0,0,,,,,,0\nentry,0,0,,,,,,10us\nvtimer_irq,,0,,,,,,20us\nupdate_irq,0,0,27,1,,,,21us\nvtimer_irq_end,,0,,,,,,22us\nexit,0,0,,,,,,23us\nentry,0,0,,,,,,30us\nupdate_irq,0,0,27,0,,,,90us\nexit,0,0,,,,,,91us\nentry,0,0,,,,,,95us\nexit,0,0,,,,,,9ms\nput,0,0,,,,,,10ms\nsave,0,0,,,vtimer,5,0x1000,10.001ms\n',
        message: 'stays-active',
        line: 14,
      },
    ],
  },
  create(context) {
    if (!cachingModels.includes(context.model.id)) return activeStateAtSync(context);
    const { machine } = context;
    /** Lowered levels of a loaded vcpu, by vcpu. */
    const lowered = new Slots();
    return {
      before: {
        update_irq(event) {
          if (event.vcpu < 0 || event.timer !== Timer.vtimer) return;
          if (event.level === 1) lowered.clear(event.vcpu);
          else if (event.context !== Context.softirq && machine.vcpu(event.vcpu).cpu === event.cpu)
            lowered.set(event.vcpu, event);
        },
        set_active(event) {
          const running = machine.cpu(event.cpu).running;
          if (running < 0 || event.level !== 0 || lowered.get(running) === undefined) return;
          lowered.clear(running);
          context.hold(event);
        },
        vtimer_irq(event) {
          const running = machine.cpu(event.cpu).running;
          if (running < 0 || lowered.get(running) === undefined) return;
          lowered.clear(running);
          context.hold(event);
        },
        save(event) {
          const level = event.vcpu < 0 ? undefined : lowered.take(event.vcpu);
          if (level === undefined) return;
          if (event.ctl < 0) return context.undecided(event, because.initial);
          if (!canFire(event.ctl) || (event.ctl & Ctl.istatus) === 0) return;
          const exit = machine.vcpu(event.vcpu).last[Kind.exit];
          if (exit.serial < level.serial || event.time - exit.time < takenWithin)
            return context.undecided(event, 'the timer may have expired with interrupts off, just before the save');
          context.violate(event, {
            message: 'stays-active',
            data: { timer: timerText(event.timer), vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
            witness: [level, exit],
          });
        },
        load(event) {
          if (event.vcpu >= 0) lowered.clear(event.vcpu);
        },
        lost() {
          lowered.each((_, key) => lowered.clear(key));
        },
      },
    };
  },
});
