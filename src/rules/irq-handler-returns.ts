import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, Slots, timerText } from './support.js';

/** Silence of a CPU, while others go on, after which its open handler will not return; nanoseconds. */
const silence = 10_000_000;

export default defineRule({
  id: 'irq-handler-returns',
  statement: "Every call of a guest timer's interrupt handler ends, on the same CPU.",
  why: 'A handler that does not return has oopsed, or waits for a lock that the interrupted code holds.',
  models: everyModel('error'),
  needs: ['vtimer_irq', 'vtimer_irq_end'],
  source: 'RFC weak points W2 and W12 (vgic locks taken in hard interrupt context); specification §4.5',
  messages: {
    unfinished: {
      headline: 'the handler of the {timer} interrupt on CPU {cpu} has no end before the CPU goes on',
      given: 'the handler began on CPU {cpu}',
      must: 'irq_handler_exit is recorded before anything of a thread, or the next such interrupt',
      but: 'that came first',
      therefore: 'the handler was left without its end',
    },
    silent: {
      headline: 'CPU {cpu} goes silent inside the handler of the {timer} interrupt',
      given: 'the handler began on CPU {cpu}',
      must: 'it ends within a millisecond',
      but: 'nothing was recorded there any more while other CPUs went on for {gap}',
      therefore: 'the handler oopsed or waits for ever for a lock that its own CPU holds',
    },
  },
  examples: {
    legal: [
      {
        title: 'the handler ends',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\n',
      },
    ],
    violating: [
      {
        title: 'CPU 0 is never heard of again (W12)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,time\nload,0,0,0\nentry,0,0,1us\nvtimer_irq,,0,10us\nvtimer_irq_end,,0,20us\nexit,0,0,30us\nentry,0,0,40us\nvtimer_irq,,0,50us\nload,1,1,60us\nentry,1,1,1s\nexit,1,1,2s\n',
        message: 'silent',
        line: 8,
      },
    ],
  },
  create(context) {
    const open = new Slots();
    /** An end has been recorded: a filter may let no exits through, or those of other interrupts only. */
    let ends = false;
    function data(irq: TimerEvent): Record<string, string | number> {
      return { timer: timerText(irq.timer), cpu: irq.cpu };
    }
    function unfinished(event: TimerEvent): void {
      const irq = open.take(event.cpu);
      if (irq === undefined || !ends) return;
      context.violate(event, {
        message: 'unfinished',
        data: data(irq),
        witness: [event],
        at: irq,
        ofCpu: true,
      });
    }
    return {
      before: {
        vtimer_irq(event) {
          unfinished(event);
          // A probe on the handler has no end of its own.
          if (event.certainty === Certainty.recorded) open.set(event.cpu, event);
        },
        vtimer_irq_end(event) {
          // A derived end only says that a thread went on.
          if (event.certainty !== Certainty.recorded) return unfinished(event);
          ends = true;
          const irq = open.take(event.cpu);
          if (irq !== undefined) context.hold(irq);
        },
        lost(event) {
          open.clear(event.cpu);
        },
      },
      end(event) {
        if (!context.records(Kind.vtimer_irq_end)) return;
        open.each((irq) => {
          // In a recording a CPU that goes silent looks like one whose buffer ends: then it has a gap of nothing.
          const gap = event.time - irq.time;
          if (gap < silence) return context.undecided(irq, because.ends);
          context.violate(event, {
            message: 'silent',
            data: { ...data(irq), gap: `${(gap / 1e6).toFixed(1)} ms` },
            witness: [],
            at: irq,
            ofCpu: true,
          });
        });
      },
    };
  },
});
