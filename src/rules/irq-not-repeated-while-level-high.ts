import type { TimerEvent } from '../events/event.js';
import { contextCount, noEvent, replaceEvent, yes } from '../machine/state.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { cachesLine, everyModel, timerText, vcpuName } from './support.js';

/** Interrupts within `stormWindow` that make a storm, whatever was written to the distributor in between. */
const stormCount = 3;
/** Nanoseconds. */
const stormWindow = 100_000;

/** Consecutive interrupts of one line on one CPU with nothing in between that could deactivate it. */
class Burst {
  count = 0;
  vcpu = -1;
  /** The handler has raised the level, or found it high. */
  raised = false;
  /** The active state was cleared meanwhile: one more interrupt is legal. */
  deactivated = false;
  first = noEvent;
  /** Times of the last two interrupts, nanoseconds. */
  previous = Number.NaN;
  beforePrevious = Number.NaN;
}

export default defineRule({
  id: 'irq-not-repeated-while-level-high',
  statement:
    'After a timer interrupt has raised the level, the same line does not interrupt that CPU again until the guest ran, the vcpu was put, or the active state was cleared.',
  why: 'The line stays high and the interrupt must stay active: handled again and again it starves the CPU.',
  models: everyModel('error'),
  needs: ['vtimer_irq', 'entry', ['put', 'load']],
  source: 'the RFC message ("stays active after firing"), weak point W1; specification §1.2, §4.5',
  messages: {
    repeated: {
      headline: 'the {timer} interrupt of {vcpu} is handled again on CPU {cpu} while its level is high',
      given: 'the interrupt was handled and the level raised, and neither the guest ran nor was the vcpu put since',
      must: 'the interrupt stays active at the distributor and is not signalled again',
      but: 'the handler ran again, {count} times in a row by now',
      therefore: 'the active state is lost: somebody deactivated the interrupt while the line was high',
    },
    storm: {
      headline: 'an interrupt storm: the {timer} interrupt of {vcpu} is handled {count} times in a row on CPU {cpu}',
      given: 'the interrupt was handled, and neither the guest ran nor was the vcpu put since',
      must: 'the interrupt is not signalled again and again',
      but: 'three calls of the handler came within 100 us',
      therefore: 'something clears the active state each time while the line is high',
    },
  },
  examples: {
    legal: [
      {
        title: 'the guest has deactivated and re-programmed its timer in between',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\n',
      },
    ],
    violating: [
      {
        title: "another CPU's put cleared the forwarded flag (W1)",
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nload,1,1\nput,1,1\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nvtimer_irq,,0\nvtimer_irq_end,,0\n',
        message: 'repeated',
        line: 9,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    const bursts: Burst[] = [];
    /** By CPU: whether a burst is under way. */
    const open: boolean[] = [];

    function burst(cpu: number, timer: number): Burst {
      const key = cpu * contextCount + Math.max(0, timer);
      bursts[key] ??= new Burst();
      return bursts[key] as Burst;
    }

    function end(event: TimerEvent): void {
      if (open[event.cpu] !== true) return;
      open[event.cpu] = false;
      for (let timer = 0; timer < contextCount; timer++) {
        const entry = bursts[event.cpu * contextCount + timer];
        if (entry !== undefined) entry.count = 0;
      }
    }

    return {
      before: {
        entry: end,
        load: end,
        put: end,
        save: end,
        restore: end,
        mask_irq: end,
        lost: end,
        set_active(event) {
          if (event.level === 1) return;
          for (let timer = 0; timer < contextCount; timer++) burst(event.cpu, timer).deactivated = true;
        },
        update_irq(event) {
          if (event.level === 1 && event.timer >= 0 && machine.cpu(event.cpu).inTimerIrq === yes)
            burst(event.cpu, event.timer).raised = true;
        },
        vtimer_irq(event) {
          const vcpu = machine.cpu(event.cpu).running;
          if (vcpu < 0) return context.undecided(event, because.initial);
          const current = burst(event.cpu, event.timer);
          open[event.cpu] = true;
          if (current.count === 0 || current.vcpu !== vcpu) {
            current.count = 1;
            current.vcpu = vcpu;
            current.raised = machine.vcpu(vcpu).contexts[event.timer]?.level === yes && cachesLine(context.model);
            current.deactivated = false;
            current.first = replaceEvent(current.first, event);
            current.previous = event.time;
            current.beforePrevious = Number.NEGATIVE_INFINITY;
            return context.hold(event);
          }
          current.count++;
          const storm = current.count >= stormCount && event.time - current.beforePrevious <= stormWindow;
          const repeated = current.raised && !current.deactivated;
          if (storm || repeated) {
            context.violate(event, {
              message: repeated ? 'repeated' : 'storm',
              data: {
                timer: timerText(event.timer),
                vcpu: vcpuName(machine, vcpu),
                cpu: event.cpu,
                count: current.count,
              },
              // A storm of thousands has one fingerprint: its witness is always the first and the present one.
              witness: [current.first],
              ofCpu: true,
            });
          } else context.hold(event);
          current.beforePrevious = current.previous;
          current.previous = event.time;
        },
      },
    };
  },
});
