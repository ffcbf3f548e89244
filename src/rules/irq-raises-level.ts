import { Certainty, Context, canFire, isVirtual, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, nowhere, somewhere, unknown, type VcpuState, yes } from '../machine/state.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import { cachingModels, everyModelSinceRfc, Slots, timerText, vcpuName } from './support.js';

/** Interrupts without a level that are no accident any more. */
const tooMany = 3;
/** Interrupts per one without a level that an accident may have. */
const interruptsPerMiss = 1000;

/** Until the recorded end of the handler a soft timer's callback might be taken for a part of it. */
function isRecordedEnd({ kind, certainty }: TimerEvent): boolean {
  return kind === Kind.vtimer_irq_end && certainty === Certainty.recorded;
}

export default defineRule({
  id: 'irq-raises-level',
  statement:
    'A timer interrupt taken while a vcpu is loaded raises the level in its handler, unless the timer was cancelled just then.',
  why: 'The interrupt is the only sign of expiry that the host gets: ignored, the guest never hears of it.',
  models: everyModelSinceRfc('warning'),
  needs: ['vtimer_irq', 'update_irq'],
  source: 'kvm_arch_timer_handler; specification §4.5',
  messages: {
    ignored: {
      headline: '{misses} of {total} {timer} interrupts of {vcpu} raised no level',
      given: 'the interrupt was taken on CPU {cpu} while {vcpu} was loaded there',
      must: 'the handler reports level 1',
      but: 'it returned without kvm_timer_update_irq, for the {misses}th time',
      therefore: 'expiries are swallowed: the guest waits for an interrupt that never comes',
    },
    lowered: {
      headline: 'the handler of the {timer} interrupt of {vcpu} reports level 0',
      given: 'the interrupt was taken on CPU {cpu} while {vcpu} was loaded there',
      must: 'the handler reports level 1, or nothing where the timer was cancelled just then',
      but: 'it reported level 0',
      therefore: 'the line is lowered while the timer has fired: the guest may never hear of it',
    },
    'other-vcpu': {
      headline: 'the {timer} interrupt of {vcpu} raises the level of vcpu {other}',
      given: 'the interrupt was taken on CPU {cpu} while {vcpu} was loaded there',
      must: 'the handler raises the level of the vcpu that is loaded',
      but: 'kvm_timer_update_irq names vcpu {other}',
      therefore: '{vcpu} does not hear of the expiry, and vcpu {other} of one that is not its own',
    },
  },
  examples: {
    legal: [
      {
        title: 'the load that the interrupt delays has reported level 0',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nupdate_irq,0,0,27,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nentry,0,0\n',
      },
      {
        title: 'the handler raises the level',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\n',
      },
      {
        title: 'the soft timer of another vcpu fires once the handler has returned',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level,timer\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nsoft_expire,1,0,,,ptimer\nupdate_irq,1,0,30,1\nexit,0,0\n',
      },
    ],
    violating: [
      {
        title: 'raised and lowered in one handler',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nupdate_irq,0,0,27,0\nvtimer_irq_end,,0\nexit,0,0\n',
        message: 'lowered',
        line: 6,
      },
      {
        title: 'three interrupts, no level',
        model: 'timer-map',
        trace: `event,vcpu,cpu,irq,level\nload,0,0\nupdate_irq,0,0,27,0\n${'entry,0,0\nvtimer_irq,,0\nvtimer_irq_end,,0\nexit,0,0\n'.repeat(3)}`,
        message: 'ignored',
        line: 13,
      },
      {
        title: 'the level of the vcpu that is loaded on the other CPU',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nload,1,1\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,1,0,27,1\nvtimer_irq_end,,0\nexit,0,0\n',
        message: 'other-vcpu',
        line: 6,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    const isRfc = context.candidates.every((id) => id === 'rfc-load-put');
    const mayLeaveHigh = context.candidates.some((id) => cachingModels.includes(id));
    /** The interrupt whose handler runs, by CPU. */
    const open = new Slots();
    const raised: boolean[] = [];
    /** By CPU: whether the level may have been high already. */
    const unsure: boolean[] = [];
    const totals: number[] = [];
    const misses: number[] = [];

    /** By CPU: what the handler has lowered. */
    const lowered = new Slots();
    /** What the handler has raised of another vcpu, by CPU. */
    const foreign = new Slots();
    /** The timer map of the load that goes on, by CPU. */
    const mapped = new Slots();

    /** Interrupts that the RFC's handler has ignored since the guest ran, by vcpu. */
    const ignored = new Slots();

    function conclude(event: TimerEvent): void {
      const irq = open.take(event.cpu);
      if (irq === undefined) return;
      const raising = foreign.take(event.cpu);
      const lowering = lowered.take(event.cpu);
      const running = machine.cpu(event.cpu).running;
      if (running === nowhere) return;
      if (running === somewhere) return context.undecided(irq, because.initial);
      if (lowering !== undefined && isRecordedEnd(event)) return ofLevel(irq, lowering, running);
      if (raising !== undefined) return ofOther(event, irq, raising, machine.vcpu(running));
      const loaded = machine.vcpu(running).contexts[irq.timer]?.loaded;
      if (loaded === unknown && context.records(Kind.restore)) return context.undecided(irq, because.initial);
      // The handler asks the memory copy of a timer that is not loaded.
      if (loaded === no) return;
      if (raised[event.cpu] !== true && unsure[event.cpu] === true) return context.undecided(irq, because.initial);
      // Where neither loads nor switches are recorded, the vcpu may have left the CPU since it was entered there.
      if (raised[event.cpu] !== true && machine.vcpu(running).cpuApproximate && !context.records(Kind.sched_switch))
        return context.undecided(irq, because.approximate);
      if (isRfc && raised[event.cpu] !== true) return ofRfc(event, irq, machine.vcpu(running));
      const total = (totals[running] ?? 0) + 1;
      totals[running] = total;
      if (raised[event.cpu] === true) return context.hold(irq);
      const missed = (misses[running] ?? 0) + 1;
      misses[running] = missed;
      if (missed < tooMany || missed * interruptsPerMiss <= total)
        return context.undecided(irq, 'the timer may have been cancelled before the handler looked');
      context.violate(irq, {
        message: 'ignored',
        data: { timer: timerText(irq.timer), vcpu: vcpuName(machine, running), cpu: event.cpu, misses: missed, total },
        witness: [],
        at: irq,
      });
    }

    /** kvm_arch_timer_handler evaluates the timer that has fired, of every kernel since the RFC, and only to raise it. */
    function ofLevel(irq: TimerEvent, lowering: TimerEvent, running: number): void {
      context.violate(irq, {
        message: 'lowered',
        data: { timer: timerText(irq.timer), vcpu: vcpuName(machine, running), cpu: irq.cpu },
        witness: [irq],
        at: lowering,
        ofCpu: true,
      });
    }

    /** The handler has raised the level of a vcpu by another id: ids alone do not tell the vcpus of two VMs apart. */
    function ofOther(event: TimerEvent, irq: TimerEvent, raising: TimerEvent, vcpu: VcpuState): void {
      if (!isRecordedEnd(event) || !isKnownAs(vcpu, irq)) return context.undecided(irq, because.unattributed);
      if (vcpu.cpuApproximate) return context.undecided(irq, because.approximate);
      context.violate(irq, {
        message: 'other-vcpu',
        data: {
          timer: timerText(irq.timer),
          vcpu: vcpuName(machine, vcpu.index),
          other: raising.vcpuId,
          cpu: irq.cpu,
        },
        witness: [vcpu.last[Kind.load], irq],
        at: raising,
        ofCpu: true,
      });
    }

    /**
     * Whether a record of the load that goes on shows the vcpu's id: one thread may run several vcpus in turn, and then
     * only the timer map of the load, or a probe of it, tells which of them is loaded.
     */
    function isKnownAs(vcpu: VcpuState, irq: TimerEvent): boolean {
      const map = mapped.get(irq.cpu);
      if (map !== undefined && map.pid === irq.pid) return map.vcpuId === vcpu.id;
      const load = vcpu.last[Kind.load];
      if (load.serial === 0 || load.certainty !== Certainty.recorded) return false;
      return load.vm >= 0 || (load.hasVcpuPointer && load.pid === irq.pid);
    }

    function raises(event: TimerEvent): void {
      const { running } = machine.cpu(event.cpu);
      const id = running >= 0 ? machine.vcpu(running).id : -1;
      if (id >= 0 && event.vcpuId >= 0 && id !== event.vcpuId) foreign.set(event.cpu, event);
      else raised[event.cpu] = true;
    }

    /**
     * The RFC's handler raises the level of whatever can fire, expired or not (W7): it is right to ignore an interrupt
     * only of a timer that cannot, or whose registers the load has not written yet.
     */
    function ofRfc(event: TimerEvent, irq: TimerEvent, vcpu: VcpuState): void {
      const state = vcpu.contexts[irq.timer];
      if (state === undefined || (state.implied && context.records(Kind.restore))) return;
      if (state.loaded === no) return context.undecided(irq, because.entered);
      if (state.enteredSinceRestore !== no) return ignored.set(vcpu.index, irq);
      if (state.restoredCtl < 0) return context.undecided(irq, because.initial);
      if (!canFire(state.restoredCtl)) return context.hold(irq);
      violate(event, irq, vcpu, state.restore);
    }

    /** The guest has not run since the interrupt: what is saved is what the handler has read. */
    function saved(event: TimerEvent): void {
      const irq = event.vcpu < 0 || event.timer !== Timer.vtimer ? undefined : ignored.take(event.vcpu);
      if (irq === undefined) return;
      if (event.ctl < 0) context.undecided(irq, because.noRegisters);
      else if (!canFire(event.ctl)) context.hold(irq);
      else violate(event, irq, machine.vcpu(event.vcpu), event);
    }

    function violate(event: TimerEvent, irq: TimerEvent, vcpu: VcpuState, registers: TimerEvent): void {
      const missed = (misses[vcpu.index] ?? 0) + 1;
      misses[vcpu.index] = missed;
      context.violate(event, {
        message: 'ignored',
        data: {
          timer: timerText(irq.timer),
          vcpu: vcpuName(machine, vcpu.index),
          cpu: irq.cpu,
          misses: missed,
          total: totals[vcpu.index] ?? missed,
        },
        witness: [registers],
        at: irq,
      });
    }

    return {
      before: {
        vtimer_irq(event) {
          conclude(event);
          open.set(event.cpu, event);
          const running = machine.cpu(event.cpu).running;
          // The handler of the RFC and of 4.15 leaves a high level alone.
          const level = running >= 0 && mayLeaveHigh ? machine.vcpu(running).contexts[event.timer]?.level : no;
          raised[event.cpu] = level === yes;
          unsure[event.cpu] = level === unknown;
        },
        update_irq: when(open.occasion, (event) => {
          const irq = open.get(event.cpu);
          if (irq === undefined) return;
          if (event.level === 1) raises(event);
          else if (event.level === 0 && event.timer === irq.timer) lowered.set(event.cpu, event);
        }),
        timer_map(event) {
          if (event.context !== Context.hardirq && event.context !== Context.softirq) mapped.set(event.cpu, event);
        },
        vtimer_irq_end: when(open.occasion, conclude),
        entry(event) {
          conclude(event);
          const irq = event.vcpu < 0 ? undefined : ignored.take(event.vcpu);
          if (irq !== undefined) context.undecided(irq, because.entered);
        },
        save(event) {
          if (isVirtual(event.timer)) mapped.clear(event.cpu);
          if (!ignored.isEmpty) saved(event);
        },
        exit: when(open.occasion, conclude),
        put: when(open.occasion, conclude),
        lost(event) {
          open.clear(event.cpu);
          lowered.clear(event.cpu);
          foreign.clear(event.cpu);
          mapped.clear(event.cpu);
          ignored.each((_, vcpu) => ignored.clear(vcpu));
        },
      },
    };
  },
});
