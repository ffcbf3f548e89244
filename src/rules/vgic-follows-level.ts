import { Certainty, Context, defaultPpi, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, yes } from '../machine/state.js';
import { because } from './context.js';
import { Marks, when } from './occasion.js';
import { isPreempted } from './parts/preempted.js';
import { defineRule } from './rule.js';
import { everyModel, Slots, vcpuName } from './support.js';

export default defineRule({
  id: 'vgic-follows-level',
  statement:
    'Each report of a timer level is followed on its CPU by the injection of the same level into the vgic, and none comes without a report.',
  why: 'What is not injected the guest never sees.',
  models: everyModel('warning'),
  needs: ['update_irq', 'vgic_inject'],
  source: 'kvm_timer_update_irq calls kvm_vgic_inject_irq; cd15d2050c04; specification §4.5, §4.8 point 4',
  messages: {
    'not-injected': {
      headline: 'level {level} of interrupt {irq} of {vcpu} does not reach the vgic',
      given: 'kvm_timer_update_irq reported level {level} on CPU {cpu}',
      must: 'vgic_update_irq_pending follows with the same interrupt and level',
      but: 'the CPU went on without it',
      therefore: 'the guest does not see the change of its timer interrupt',
    },
    'other-level': {
      headline: 'interrupt {irq} of {vcpu} is injected with level {injected} after level {level} was reported',
      given: 'kvm_timer_update_irq reported level {level} on CPU {cpu}',
      must: 'the vgic gets the same level',
      but: 'it got level {injected}',
      therefore: 'the line of the guest says the opposite of its timer',
    },
    'other-vcpu': {
      headline:
        'interrupt {irq} of {vcpu} is injected into the vcpu of index {index}, and earlier into that of index {before}',
      given: 'vgic_update_irq_pending printed index {before} for {vcpu}',
      must: 'a vcpu keeps the index that its VM has given it',
      but: 'index {index} was printed for it on CPU {cpu}',
      therefore: 'one of the two injections has changed the line of another vcpu',
    },
    'not-reported': {
      headline: 'interrupt {irq} is injected with level {injected} on CPU {cpu} without a report of the timer',
      given: 'the last level that was reported on CPU {cpu} had been injected',
      must: 'a timer interrupt is injected only by kvm_timer_update_irq',
      but: 'vgic_update_irq_pending was recorded without it',
      therefore: 'something else drives the line of the timer',
    },
  },
  examples: {
    legal: [
      {
        title: 'reported and injected, with a host interrupt in between',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nupdate_irq,0,0,27,1\nirq_begin,,0,3\nirq_end,,0,3\nvgic_inject,0,0,27,1\nentry,0,0\n',
      },
      {
        title: 'preempted in a trapped access, between report and injection',
        model: 'offset',
        trace:
          'event,vcpu,cpu,irq,level,ec,next,state\nload,0,0\nupdate_irq,0,0,30,1\nvgic_inject,0,0,30,1\nentry,0,0\nexit,0,0,,,SYS64\nupdate_irq,0,0,30,0\nsched_switch,0,0,,,,99,R\nput,0,0\nload,0,1\nupdate_irq,0,1,27,0\nvgic_inject,0,1,27,0\nvgic_inject,0,1,30,0\nentry,0,1\n',
      },
      {
        title: 'the vcpu of id 4 is the first of its VM, and has index 0',
        model: 'stateless-level',
        trace:
          'event,vcpu,cpu,irq,level,context\nload,4,0\nupdate_irq,4,0,27,0,task\nvgic_inject,0,0,27,0,task\nupdate_irq,4,0,27,1,task\nvgic_inject,0,0,27,1,task\n',
      },
    ],
    violating: [
      {
        title: 'the second level is not injected',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nupdate_irq,0,0,27,0\nvgic_inject,0,0,27,0\nentry,0,0\nexit,0,0\nupdate_irq,0,0,27,1\nentry,0,0\n',
        message: 'not-injected',
        line: 7,
      },
      {
        title: 'preempted after the report, and the injection never comes',
        model: 'offset',
        trace:
          'event,vcpu,cpu,irq,level,ec,next,state\nload,0,0\nupdate_irq,0,0,30,1\nvgic_inject,0,0,30,1\nentry,0,0\nexit,0,0,,,SYS64\nupdate_irq,0,0,30,0\nsched_switch,0,0,,,,99,R\nput,0,0\nload,0,0\nentry,0,0\n',
        message: 'not-injected',
        line: 7,
      },
      {
        title: 'the wrong level is injected',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,irq,level\nload,0,0\nupdate_irq,0,0,27,1\nvgic_inject,0,0,27,0\n',
        message: 'other-level',
        line: 4,
      },
      {
        title: 'a level goes to the vcpu of another index',
        model: 'stateless-level',
        trace:
          'event,vcpu,cpu,irq,level,context\nload,0,0\nupdate_irq,0,0,27,0,task\nvgic_inject,0,0,27,0,task\nupdate_irq,0,0,27,1,task\nvgic_inject,1,0,27,1,task\n',
        message: 'other-vcpu',
        line: 6,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    /**
     * Reports that wait for their injection, by CPU and context: a thread's report may be interrupted by a timer
     * interrupt with a report and an injection of its own.
     */
    const waiting = new Slots();
    const slot = (event: TimerEvent) => event.cpu * 2 + (event.context === Context.hardirq ? 1 : 0);
    /** Lines whose injection was ever seen; a vcpu with a userspace irqchip has none. */
    const injected = new Marks();
    /** By vcpu: a report whose thread was preempted before the injection, which follows when it comes back. */
    const interrupted = new Slots(waiting.occasion);
    /** By CPU: whether a report was seen since the start or the last gap. */
    const reported: boolean[] = [];
    /** Private interrupts that were ever reported, a set of bits: a recording may be filtered by them. */
    let everReported = 0;

    /** Later kernels print the index of the vcpu here, which need not be its id (specification §3.1). */
    const printsIndex = model.id === 'offset' || model.id === 'stateless-level';
    const sameVcpu = (report: TimerEvent, event: TimerEvent) =>
      printsIndex || report.vcpuId < 0 || event.vcpuId < 0 || report.vcpuId === event.vcpuId;

    /** By vcpu, where the index is printed: its first injection. */
    const first: (TimerEvent | undefined)[] = [];

    /**
     * Whether the id that a report prints tells whose it is. The soft timer of a vcpu that is not loaded fires in any
     * interrupt, where a vcpu of another VM may be loaded that has the same id.
     */
    function isOwn(report: TimerEvent): boolean {
      if (report.vcpu < 0 || report.attribution >= Certainty.approximate) return false;
      if (report.context === Context.task) return true;
      if (context.records(Kind.vtimer_irq_end) && machine.cpu(report.cpu).inTimerIrq === yes) return true;
      return report.context === Context.unknown && context.records(Kind.irq_begin);
    }

    /** A report's injection prints the vcpu's index. @returns whether it is the one that the vcpu has had so far */
    function isSameIndex(report: TimerEvent, event: TimerEvent): boolean {
      if (!printsIndex || event.vcpuId < 0 || !isOwn(report)) return true;
      const before = first[report.vcpu];
      if (before === undefined) first[report.vcpu] = event.retain();
      return before === undefined || before.vcpuId === event.vcpuId;
    }

    /** The report that an injection answers: that of its own context, unless only the other one fits. */
    function match(event: TimerEvent): number {
      const own = slot(event);
      const fits = (key: number, level: boolean) => {
        const report = waiting.get(key);
        if (report === undefined || report.irq !== event.irq) return false;
        return sameVcpu(report, event) && (!level || report.level === event.level);
      };
      if (fits(own, true)) return own;
      if (fits(own ^ 1, true)) return own ^ 1;
      return fits(own, false) ? own : fits(own ^ 1, false) ? own ^ 1 : -1;
    }

    /** A GICv5 guest (7.x) gets its direct timers from the hardware: only an emulated one is injected. */
    const line = ({ vcpu, timer }: TimerEvent) =>
      model.id === 'stateless-level' ? vcpu * contextCount + Math.max(0, timer) : vcpu;

    function missing(key: number, event: TimerEvent): void {
      const report = waiting.take(key);
      if (report === undefined) return;
      const own = report.vcpu >= 0 && report.vcpu === event.vcpu && report.context !== Context.hardirq;
      if (own && isPreempted(context, event)) return interrupted.set(event.vcpu, report);
      fails(report, event);
    }

    function fails(report: TimerEvent, event: TimerEvent): void {
      if (report.vcpu < 0 || !injected.has(line(report))) return context.undecided(report, because.irqchip);
      context.violate(event, {
        message: 'not-injected',
        data: {
          level: report.level,
          irq: report.irq,
          vcpu: report.vcpu < 0 ? 'a vcpu' : vcpuName(machine, report.vcpu),
          cpu: report.cpu,
        },
        witness: [],
        at: report,
        ofCpu: true,
      });
    }

    function misdirected(report: TimerEvent, event: TimerEvent): void {
      const before = first[report.vcpu] as TimerEvent;
      context.violate(event, {
        message: 'other-vcpu',
        data: {
          irq: report.irq,
          vcpu: vcpuName(machine, report.vcpu),
          index: event.vcpuId,
          before: before.vcpuId,
          cpu: event.cpu,
        },
        witness: [before, report],
      });
    }

    const goesOn = (event: TimerEvent) => {
      missing(event.cpu * 2, event);
      missing(event.cpu * 2 + 1, event);
    };
    return {
      before: {
        update_irq(event) {
          let key = slot(event);
          // Where interrupts are not recorded, a second report may be that of one which came in between.
          const nested = event.context === Context.unknown && !context.records(Kind.vtimer_irq);
          if (nested && waiting.get(key) !== undefined && waiting.get(key ^ 1) === undefined) key ^= 1;
          missing(key, event);
          waiting.set(key, event);
          reported[event.cpu] = true;
          everReported |= 1 << event.irq;
        },
        vgic_inject(event) {
          const key = match(event);
          const report = key < 0 ? undefined : waiting.get(key);
          if (report !== undefined) {
            waiting.clear(key);
            injected.add(line(report));
            if (!isSameIndex(report, event)) return misdirected(report, event);
            if (report.level === event.level) return context.hold(report);
            return context.violate(event, {
              message: 'other-level',
              data: {
                level: report.level,
                injected: event.level,
                irq: event.irq,
                vcpu: report.vcpu < 0 ? 'a vcpu' : vcpuName(machine, report.vcpu),
                cpu: event.cpu,
              },
              witness: [report],
              ofCpu: true,
            });
          }
          if (event.irq !== defaultPpi.vtimer && event.irq !== defaultPpi.ptimer) return;
          const late = event.vcpu < 0 ? undefined : interrupted.get(event.vcpu);
          if (late !== undefined && late.irq === event.irq && late.level === event.level) {
            interrupted.clear(event.vcpu);
            return context.hold(late);
          }
          if (reported[event.cpu] !== true) return context.undecided(event, because.initial);
          if ((everReported & (1 << event.irq)) === 0) return context.undecided(event, because.hidden);
          // KVM_IRQ_LINE of userspace prints its own record first; the vgic's owner check then rejects the injection.
          const last = machine.cpu(event.cpu).last;
          if ((last[Kind.irq_line] as TimerEvent).serial > (last[Kind.update_irq] as TimerEvent).serial) return;
          context.violate(event, {
            message: 'not-reported',
            data: { irq: event.irq, injected: event.level, cpu: event.cpu },
            witness: [last[Kind.vgic_inject] as TimerEvent],
          });
        },
        entry: when(waiting.occasion, (event) => {
          goesOn(event);
          const late = event.vcpu < 0 ? undefined : interrupted.take(event.vcpu);
          if (late !== undefined) fails(late, event);
        }),
        exit: when(waiting.occasion, goesOn),
        sched_switch: when(waiting.occasion, goesOn),
        restore: when(waiting.occasion, goesOn),
        save: when(waiting.occasion, goesOn),
        put_end: when(waiting.occasion, (event) => {
          // Nothing is reported in a put: a report since it began is the next load's, which has left no other record.
          const put = machine.vcpu(event.vcpu).last[Kind.put].serial;
          for (let key = event.cpu * 2; key < event.cpu * 2 + 2; key++)
            if ((waiting.get(key)?.serial ?? Number.POSITIVE_INFINITY) < put) missing(key, event);
        }),
        vtimer_irq_end: when(waiting.occasion, (event) => missing(event.cpu * 2 + 1, event)),
        lost(event) {
          interrupted.each((_, vcpu) => interrupted.clear(vcpu));
          waiting.clear(event.cpu * 2);
          waiting.clear(event.cpu * 2 + 1);
          reported[event.cpu] = false;
        },
      },
      end() {
        waiting.each((report) => context.undecided(report, because.ends));
        interrupted.each((report) => context.undecided(report, because.ends));
      },
    };
  },
});
