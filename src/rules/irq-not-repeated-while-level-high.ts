import { Certainty, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, no, noEvent, nowhere, replaceEvent, yes } from '../machine/state.js';
import { because, type Ending, type Ongoing } from './context.js';
import { always, Marks, when } from './occasion.js';
import { defineRule } from './rule.js';
import { cachesLine, everyModelSinceRfc, timerText, vcpuName } from './support.js';

/** Calls of the handler in a row that make a storm; without a raised level, within `stormWindow`. */
const stormCount = 3;
/** Nanoseconds. */
const stormWindow = 100_000;
/** Calls that may still come once the forwarded flag is set: its record precedes the write, and one may be under way. */
const inFlight = 3;

/** Consecutive interrupts of one line on one CPU with nothing in between that could deactivate it. */
class Burst {
  count = 0;
  vcpu = -1;
  /** The handler has raised the level, or found it high. */
  raised = false;
  /** The active state was cleared meanwhile: one more interrupt is legal. */
  deactivated = false;
  first = noEvent;
  /** The first one too many. */
  repeat = noEvent;
  /** A single repetition that is told only when it is clear that it stays single. */
  single = false;
  storm: Ongoing | undefined;
  /** The put whose clearing of the forwarded flag has brought it about. */
  cause = noEvent;
  /** The count at the last setting of the flag. */
  countAtSet = 0;
  /** Times of the last two interrupts, nanoseconds. */
  previous = Number.NaN;
  beforePrevious = Number.NaN;
}

export default defineRule({
  id: 'irq-not-repeated-while-level-high',
  statement:
    'After a timer interrupt has raised the level, the same line does not interrupt that CPU again until the guest ran, the vcpu was put, or the active state was cleared.',
  why: 'The line stays high and the interrupt must stay active: handled again and again it starves the CPU.',
  models: everyModelSinceRfc('error'),
  needs: ['vtimer_irq', 'entry', ['put', 'load', 'sched_switch']],
  source: 'the RFC message ("stays active after firing"), weak point W1; specification §1.2, §4.5',
  messages: {
    repeated: {
      headline: 'the {timer} interrupt of {vcpu} is handled again on CPU {cpu} while its level is high',
      given: 'the interrupt was handled and the level raised, and neither the guest ran nor was the vcpu put since',
      must: 'the interrupt stays active at the distributor and is not signalled again',
      but: 'the handler ran again',
      therefore: '{cause} while its line is high, and it came back',
    },
    storm: {
      headline:
        'an interrupt storm on CPU {cpu}: the {timer} interrupt of {vcpu} is handled {times} more in {duration}{after}',
      given: 'the interrupt was handled, and neither the guest ran nor was the vcpu put since',
      must: 'the interrupt stays active at the distributor, and is not signalled again, until the guest deactivates it',
      but: 'the handler ran again {times} within {duration}',
      therefore: '{cause} each time while its line is high: it comes back at once, and the CPU does nothing else',
      ends: {
        forwarded: 'the load of {setter} on CPU {setterCpu} set the forwarded flag again',
        entry: 'the guest ran again',
        put: '{vcpu} was put',
        lowered: 'the level was lowered',
        unloaded: 'the timer of {vcpu} was taken from the CPU',
        masked: 'the interrupt was masked',
        raised: 'the level was raised anew',
      },
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
      {
        title: "the storm lasts until another CPU's load sets the flag again (W1)",
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nload,1,1\nput,1,1\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nvtimer_irq,,0\nvtimer_irq_end,,0\nvtimer_irq,,0\nvtimer_irq_end,,0\nload,1,1\nexit,0,0\nentry,0,0\n',
        message: 'storm',
        line: 9,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    const bursts: Burst[] = [];
    const isRfc = model.id === 'rfc-load-put';
    /** CPUs on which a burst is under way. */
    const open = new Marks();
    /** The last time that the forwarded flag was set, and that it was cleared. */
    let set = noEvent;
    let clear = noEvent;

    function burst(cpu: number, timer: number): Burst {
      const key = cpu * contextCount + Math.max(0, timer);
      bursts[key] ??= new Burst();
      return bursts[key] as Burst;
    }

    function end(event: TimerEvent, how: string): void {
      if (!open.delete(event.cpu)) return;
      for (let timer = 0; timer < contextCount; timer++) {
        const current = bursts[event.cpu * contextCount + timer];
        if (current === undefined) continue;
        conclude(current, event, how);
        current.count = 0;
      }
    }

    /** The burst is over: how its storm ended, if it was one. */
    function conclude(current: Burst, event: TimerEvent, how: string): void {
      if (current.storm !== undefined) {
        const { cause } = current;
        const late: Ending =
          cause.serial > current.repeat.serial
            ? { cause, data: { cause: causeText(cause), after: afterText(cause) } }
            : {};
        const forwarded = set.serial > cause.serial && current.count - current.countAtSet <= inFlight;
        if (set.serial > current.first.serial && forwarded) {
          const data = { ...late.data, setter: nameOf(set), setterCpu: set.cpu };
          current.storm.end('forwarded', { ...late, by: set, data });
        } else current.storm.end(how, { ...late, by: event });
        current.storm = undefined;
      } else if (current.single) tellSingle(event, current);
      current.single = false;
      current.cause = replaceEvent(current.cause, noEvent);
    }

    function causeText(cause: TimerEvent): string {
      if (cause.serial === 0) return 'somebody deactivates the interrupt';
      return `the put of ${nameOf(cause)} on CPU ${cause.cpu} cleared the forwarded flag for all CPUs, so that the host deactivates the interrupt`;
    }

    /** The same for the headline. */
    function afterText(cause: TimerEvent): string {
      if (cause.serial === 0) return '';
      return `, after the put of ${nameOf(cause)} on CPU ${cause.cpu} cleared its forwarded flag`;
    }

    function nameOf(event: TimerEvent): string {
      return event.vcpu < 0 ? 'a vcpu' : vcpuName(machine, event.vcpu);
    }

    function dataOf(current: Burst): Record<string, string | number> {
      return {
        timer: timerText(current.repeat.timer),
        vcpu: current.vcpu < 0 ? 'whichever vcpu is loaded' : vcpuName(machine, current.vcpu),
        cpu: current.repeat.cpu,
        cause: causeText(current.cause),
        after: afterText(current.cause),
      };
    }

    function tellSingle(event: TimerEvent, current: Burst): void {
      context.violate(event, {
        message: 'repeated',
        data: dataOf(current),
        witness: [current.first],
        cause: current.cause,
        at: current.repeat,
        ofCpu: true,
      });
    }

    /** Only the RFC sets and clears the flag at every load and put; where it is probed its own record says so. */
    function implied(): boolean {
      return isRfc && !context.records(Kind.set_affinity);
    }

    function setFlag(event: TimerEvent): void {
      set = replaceEvent(set, event);
      for (const current of bursts) if (current !== undefined) current.countAtSet = current.count;
    }

    function clearFlag(event: TimerEvent): void {
      clear = replaceEvent(clear, event);
      for (const current of bursts) {
        // Records made inside another one all have its time: what caused such a storm stands after it in the trace.
        if (current !== undefined && current.count > 1 && current.cause.serial === 0)
          current.cause = replaceEvent(current.cause, event);
      }
    }

    function start(current: Burst, event: TimerEvent, vcpu: number): void {
      if (current.count > 0) conclude(current, event, 'unloaded');
      current.count = 1;
      current.vcpu = Math.max(vcpu, -1);
      current.raised = vcpu >= 0 && machine.vcpu(vcpu).contexts[event.timer]?.level === yes && cachesLine(context);
      current.deactivated = false;
      current.first = replaceEvent(current.first, event);
      current.countAtSet = 0;
      current.previous = event.time;
      current.beforePrevious = Number.NEGATIVE_INFINITY;
    }

    function again(current: Burst, event: TimerEvent): void {
      current.count++;
      if (current.storm !== undefined) return current.storm.again(event);
      const fast = current.count >= stormCount && event.time - current.beforePrevious <= stormWindow;
      // A put and load that nothing shows may lie between two interrupts, but not between those of a storm.
      const shown = current.vcpu >= 0 && (context.records(Kind.put) || context.records(Kind.load));
      const repeated = shown && current.raised && !current.deactivated;
      if (!fast && !repeated) return current.vcpu < 0 ? context.undecided(event, because.initial) : context.hold(event);
      if (!current.single) {
        current.repeat = replaceEvent(current.repeat, event);
        if (machine.forwarded === no) current.cause = replaceEvent(current.cause, clear);
      }
      if (!fast && current.count < stormCount) {
        current.single = true;
        return;
      }
      const { repeat, single } = current;
      current.storm = context.begin(event, {
        message: 'storm',
        data: dataOf(current),
        // A storm of thousands has one fingerprint: its witness is always the first interrupt and the first repetition.
        witness: [current.first],
        cause: current.cause,
        at: repeat,
        ofCpu: true,
      });
      if (single) current.storm.again(event);
      current.single = false;
    }

    return {
      before: {
        entry: when(open.occasion, (event) => end(event, 'entry')),
        load: when(isRfc ? always : open.occasion, (event) => {
          end(event, 'unloaded');
          if (implied()) setFlag(event);
        }),
        put: when(isRfc ? always : open.occasion, (event) => {
          end(event, 'put');
          if (implied()) clearFlag(event);
        }),
        save: when(open.occasion, (event) => end(event, 'unloaded')),
        restore: when(open.occasion, (event) => end(event, 'unloaded')),
        mask_irq: when(open.occasion, (event) => end(event, 'masked')),
        lost: when(open.occasion, (event) => end(event, 'lost')),
        set_affinity(event) {
          if (event.timer === Timer.unknown) return;
          if (event.level === 1) setFlag(event);
          else clearFlag(event);
        },
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
          // With nobody loaded it is irq-only-when-loaded's matter.
          const put = machine.cpu(event.cpu).last[Kind.put];
          if (vcpu === nowhere && put.certainty < Certainty.approximate)
            return context.undecided(event, because.initial);
          const current = burst(event.cpu, event.timer);
          open.add(event.cpu);
          // A trace that begins inside a storm does not say whose it is: whoever is loaded has not been put meanwhile.
          if (current.vcpu < 0 && current.count > 0) current.vcpu = Math.max(vcpu, -1);
          if (current.count === 0 || (current.vcpu !== vcpu && current.vcpu >= 0)) {
            start(current, event, vcpu);
            return vcpu < 0 ? context.undecided(event, because.initial) : context.hold(event);
          }
          again(current, event);
          current.beforePrevious = current.previous;
          current.previous = event.time;
        },
      },
      end(event) {
        for (const current of bursts) if (current?.single) tellSingle(event, current);
      },
    };
  },
});
