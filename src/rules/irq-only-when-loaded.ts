import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { nowhere, somewhere } from '../machine/state.js';
import { because } from './context.js';
import { Occasion, when } from './occasion.js';
import { defineRule } from './rule.js';
import { everyLoadPutModel, everyTracedModel, timerText } from './support.js';

/** Late interrupts in a trace that are no accident any more (specification §4.8 point 10). */
const tooMany = 3;
/** Puts per late interrupt below which two of them are no accident either. */
const putsPerLate = 100;

export default defineRule({
  id: 'irq-only-when-loaded',
  statement:
    "The handler of a guest timer's interrupt never runs up to 4.14, and from then on only while a vcpu is loaded on the CPU; since 4.15 a rare single late one after a put is harmless.",
  why: 'The RFC handler dereferences the running vcpu; later ones ignore the interrupt, but a repeated one means that the timer was left running.',
  models: {
    'world-switch': 'error',
    'rfc-load-put': 'error',
    ...everyLoadPutModel('warning'),
    ...everyTracedModel('warning'),
  },
  needs: ['vtimer_irq', ['load', 'entry'], ['put', 'entry']],
  source: 'kvm_arch_timer_handler; RFC weak point W2; 36e5cfd410ad; specification §4.5, §4.8 point 10',
  messages: {
    'in-the-host': {
      headline: 'the {timer} interrupt is handled on CPU {cpu}, although the timer only runs in the guest',
      given: 'the hypervisor stops the timer at every exit, before the host has its interrupts back',
      must: 'the line is low by then and the handler never runs',
      but: 'it ran',
      therefore: 'the timer was left running at an exit: its interrupt is acknowledged and lost for the guest',
    },
    'no-vcpu': {
      headline: 'the {timer} interrupt is handled on CPU {cpu} with no vcpu loaded',
      given: 'the last vcpu was put on CPU {cpu}',
      must: 'no guest timer interrupt is handled there until a vcpu is loaded',
      but: 'the handler ran',
      therefore: 'it dereferences a NULL vcpu: the host oopses',
    },
    late: {
      headline: 'a single {timer} interrupt is handled on CPU {cpu} after a put',
      given: 'the last vcpu was put on CPU {cpu}',
      must: 'no guest timer interrupt is handled there until a vcpu is loaded',
      but: 'one was, which had been latched before the save stopped the timer',
      therefore: 'nothing: the handler ignores it; a repetition would mean that the timer was left running',
    },
    again: {
      headline: 'the {timer} interrupt is handled again and again on CPU {cpu} with no vcpu loaded',
      given: 'the last vcpu was put on CPU {cpu}, and one late interrupt came after it',
      must: 'no further one comes: the save has stopped the timer',
      but: 'the handler ran again before any load',
      therefore: 'the timer was left running at the put',
    },
    repeated: {
      headline: '{late} of {puts} puts are followed by a {timer} interrupt with no vcpu loaded',
      given: '{puts} puts were seen',
      must: 'a late interrupt after a put is a rare accident',
      but: 'this is number {late}',
      therefore: 'the put leaves the timer enabled, and the interrupt stays active until the next load',
    },
  },
  examples: {
    legal: [
      {
        title: 'the interrupt that ends the guest',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\n',
      },
    ],
    violating: [
      {
        title: 'the exit has not stopped the timer',
        model: 'world-switch',
        trace: 'event,vcpu,cpu\nload,0,0\nentry,0,0\nvtimer_irq,,0\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\n',
        message: 'in-the-host',
        line: 4,
      },
      {
        title: 'an interrupt after the put (W2)',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nentry,0,0\nexit,0,0\nput,0,0\nvtimer_irq,,0\n',
        message: 'no-vcpu',
        line: 6,
      },
      {
        title: 'two interrupts after one put',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu\nload,0,0\nput,0,0\nsched_switch,0,0\nvtimer_irq,,0\nvtimer_irq_end,,0\nvtimer_irq,,0\nvtimer_irq_end,,0\n',
        message: 'again',
        line: 7,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    /** By CPU: late interrupts since the last load there. */
    const sinceLoad: number[] = [];
    /** There has been a late one. */
    const lateOnes = new Occasion();
    let late = 0;
    let puts = 0;
    /** By CPU: whether the handler has run since the last entry there. */
    const handled: boolean[] = [];

    function entry(event: TimerEvent): void {
      handled[event.cpu] = false;
    }

    function exit(event: TimerEvent): void {
      // Every exit that has stopped the timer is one at which no interrupt was there to be handled.
      if (handled[event.cpu] === false) context.hold(event);
    }

    return {
      before: {
        load: when(lateOnes, (event) => {
          sinceLoad[event.cpu] = 0;
        }),
        put_end() {
          puts++;
        },
        ...(model.id === 'world-switch' && { entry, exit }),
        vtimer_irq(event) {
          const cpu = machine.cpu(event.cpu);
          handled[event.cpu] = true;
          if (model.id === 'world-switch')
            return context.violate(event, {
              message: 'in-the-host',
              data: { timer: timerText(event.timer), cpu: event.cpu },
              witness: cpu.running >= 0 ? [machine.vcpu(cpu.running).last[Kind.entry]] : [],
              ofCpu: true,
            });
          if (!context.records(Kind.load) || !context.records(Kind.put))
            return context.undecided(event, because.approximate);
          if (cpu.running === somewhere) return context.undecided(event, because.initial);
          if (cpu.running !== nowhere) return context.hold(event);
          const put = cpu.last[Kind.put];
          if (put.certainty >= Certainty.approximate) return context.undecided(event, because.approximate);
          const data = { timer: timerText(event.timer), cpu: event.cpu, late: late + 1, puts };
          const witness = [put];
          if (model.id === 'rfc-load-put')
            return context.violate(event, { message: 'no-vcpu', data, witness, ofCpu: true });
          late++;
          lateOnes.set(true);
          const here = (sinceLoad[event.cpu] ?? 0) + 1;
          sinceLoad[event.cpu] = here;
          if (here > 1) context.violate(event, { message: 'again', data, witness, ofCpu: true });
          else if (late >= tooMany || (late > 1 && late * putsPerLate > puts))
            context.violate(event, { message: 'repeated', data, witness, ofCpu: true });
          else context.violate(event, { message: 'late', data, witness, ofCpu: true, severity: 'info' });
        },
      },
    };
  },
});
