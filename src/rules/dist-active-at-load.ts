import { Certainty, Context, isGicv5Ppi, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, noEvent, replaceEvent, type TimerContext, yes } from '../machine/state.js';
import { because } from './context.js';
import { Marks } from './occasion.js';
import { activeStateAtFlush, flushLegal, flushMessages, flushViolating } from './parts/active-state-at-flush.js';
import { activeStateIgnoringLevel, ignoringLevel } from './parts/active-state-ignoring-level.js';
import {
  ActiveWithoutCause,
  withoutCauseLegal,
  withoutCauseMessages,
  withoutCauseViolating,
} from './parts/active-without-cause.js';
import { LoadReports } from './parts/load-reports.js';
import { defineRule } from './rule.js';
import { cachesLine, everyModel, timerText, tracedModels, vcpuName } from './support.js';

/** What one vcpu's load has said of one timer. */
class LoadedTimer {
  /** Level that the load reported, -1 none. */
  level = -1;
  /** Whether the active state was written after it. */
  written = false;
  restored = false;
  report = noEvent;
}

export default defineRule({
  id: 'dist-active-at-load',
  statement:
    "A load (up to 4.14 a flush) that finds a timer's level high sets the physical interrupt active at the distributor before the timer is restored; from 5.2 on it has reported the level by then, and sets it active for nothing else than an interrupt that the guest has not finished. A flush on a CPU that the vcpu comes to anew does not trust what it wrote elsewhere.",
  why: 'Otherwise the restored timer interrupts the host at once, for an expiry that the guest already knows.',
  models: everyModel('error'),
  needs: [['update_irq', 'set_active', 'flush'], ['restore', 'load', 'flush'], 'entry'],
  source: 'kvm_timer_vcpu_load_gic; bae561c0cff7; kvm_timer_vcpu_load of the RFC; specification §4.5, §4.8 point 12',
  messages: {
    ...flushMessages,
    ...withoutCauseMessages,
    inactive: {
      headline:
        'the load of {vcpu} clears the active state of its {timer} interrupt on CPU {cpu} although the level is high',
      given: 'the load found the {timer} of {vcpu} pending',
      must: 'the physical interrupt is set active',
      but: 'its active state was cleared',
      therefore: 'the interrupt fires as soon as the timer is restored: one useless exit at every load',
    },
    'inactive-direct': {
      headline:
        'the load of {vcpu} clears the active state of its {timer} interrupt on CPU {cpu}, and its guest has a GICv5',
      given: 'the guest of {vcpu} takes the {timer} interrupt directly',
      must: 'the load sets the physical interrupt active, whatever the level',
      but: 'its active state was cleared',
      therefore: 'the host takes the interrupts that are meant for the guest',
    },
    'not-written': {
      headline:
        'the load of {vcpu} restores its {timer} on CPU {cpu} without writing the active state, although the level is high',
      given: 'the load found the {timer} of {vcpu} pending',
      must: 'the physical interrupt is set active before the restore',
      but: 'the timer was restored without such a write',
      therefore: 'the interrupt fires as soon as the timer is restored',
    },
    'interrupt-before-entry': {
      headline: 'the {timer} interrupt of {vcpu} fires on CPU {cpu} in the load that found its level high',
      given: 'the load found the {timer} of {vcpu} pending and restored it',
      must: 'the physical interrupt is active by then and is not signalled',
      but: 'it was handled before the vcpu entered the guest',
      therefore: 'the load has not set the active state',
    },
    'known-pending-inactive': {
      headline:
        'the {timer} interrupt of {vcpu} fires on CPU {cpu} in the load, although the timer had expired before: known bug of 4.16 to 5.2, fixed by bae561c0cff7',
      given: 'the {timer} of {vcpu} had expired before the load, which restored it',
      must: 'a load sets the physical interrupt of a pending timer active',
      but: 'it only asks the vgic, which does not know yet, and leaves the interrupt inactive',
      therefore:
        'every wakeup takes one more interrupt; "Mark physical interrupt active when a virtual interrupt is pending" (bae561c0cff7) ends that',
    },
    unwritten: {
      headline: 'the load of {vcpu} on CPU {cpu} does not write the active state of its {timer} interrupt',
      given: '{vcpu} was loaded on CPU {cpu} with its timer enabled',
      must: 'the load writes the physical active state before it restores the timer',
      but: '{vcpu} was entered without such a write',
      therefore: 'the state that another vcpu has left decides whether the interrupt comes',
    },
    unreported: {
      headline: 'the load of {vcpu} on CPU {cpu} restores its {timer} without having reported its level',
      given: 'this kernel reports the level of every direct timer in a load (bae561c0cff7)',
      must: 'the level is reported, and the active state set by it, before the timer is restored',
      but: 'the timer was restored, and its level has not been reported since the load began',
      therefore: 'a timer that has expired meanwhile interrupts the host at once, and the guest learns it later',
    },
    'left-active': {
      headline: 'the put of {vcpu} leaves its {timer} interrupt active on CPU {cpu}, and its guest has a GICv5',
      given: 'the guest of {vcpu} takes the {timer} interrupt directly, so that its load has set it active',
      must: 'the put clears the active state',
      but: 'it ended without that',
      therefore: 'nobody else on this CPU gets the interrupt of the timer until somebody clears it',
    },
  },
  examples: {
    legal: [
      ...flushLegal,
      ...withoutCauseLegal,
      {
        title: 'set active after the level was found high',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,vtimer,,,27,1\nrestore,0,0,vtimer,5,0x1000\nentry,0,0\n',
      },
      {
        title: 'active although the level is low: the virtual interrupt is active',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,0\nset_active,0,0,vtimer,,,27,1\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\n',
      },
      {
        title: 'a GICv5 guest: active from the load to the put',
        model: 'stateless-level',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,536870939,0\nset_active,0,0,vtimer,,,27,1\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,1,0x1000\nset_active,0,0,vtimer,,,27,0\nuserspace_exit,0,0\n',
      },
      {
        title: 'VHE: the active state of either timer, whose Linux irq only the interrupt of one has shown',
        model: 'timer-map',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level,dv,dp,ep\ntimer_map,0,0,,,,,,1,0,none\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,vtimer,,,12,1\nupdate_irq,0,0,,,,30,0\nset_active,0,0,,,,11,0\nrestore,0,0,vtimer,5,0x1000\nrestore,0,0,ptimer,0,0\nentry,0,0\nvtimer_irq,,0,,,,12\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0,,,,12\nexit,0,0\nput,0,0\nsave,0,0,vtimer,5,0x1000\nsave,0,0,ptimer,0,0\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,vtimer,,,12,1\nupdate_irq,0,0,,,,30,0\nset_active,0,0,,,,11,0\nrestore,0,0,vtimer,5,0x1000\nrestore,0,0,ptimer,0,0\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,5,0x1000\nsave,0,0,ptimer,0,0\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,vtimer,,,12,1\nupdate_irq,0,0,,,,30,0\nset_active,0,0,,,,11,0\nrestore,0,0,vtimer,5,0x1000\nrestore,0,0,ptimer,0,0\nentry,0,0\n',
      },
      {
        title: '6.4: a trapped access saves and restores the timer, and is no load',
        model: 'offset',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level,dv,dp,ev,ep,ec\ntimer_map,0,0,,,,,,1,none,none,0\nupdate_irq,0,0,,,,27,1\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\ntimer_map,0,0,,,,,,1,none,none,0\nsave,0,0,vtimer,1,0x1000\nsched_switch,0,0\ntimer_map,0,0,,,,,,1,none,none,0\nupdate_irq,0,0,,,,27,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0,,,,,,,,,,SYS64\ntimer_map,0,0,,,,,,1,none,none,0\nsave,0,0,vtimer,1,0x1000\nrestore,0,0,vtimer,0,0x1000\nentry,0,0\n',
      },
      {
        title: '4.16 to 5.0: written, and the timer fires later',
        model: 'load-put-4.16',
        trace:
          'event,vcpu,cpu,timer,irq,level\nload,0,0\nset_active,0,0,vtimer,27,0\nentry,0,0\nexit,0,0\nput,0,0\nload,0,0\nset_active,0,0,vtimer,27,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,27,1\nvtimer_irq_end,,0\nexit,0,0\n',
      },
    ],
    violating: [
      ...flushViolating,
      ...withoutCauseViolating,
      {
        title: 'a GICv5 guest: cleared, though the interrupt is that of the guest from the load to the put',
        model: 'stateless-level',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,536870939,0\nset_active,0,0,vtimer,,,27,0\nrestore,0,0,vtimer,1,0x1000\n',
        message: 'inactive-direct',
        line: 4,
      },
      {
        title: 'cleared although the level is high',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,vtimer,,,27,0\nrestore,0,0,vtimer,5,0x1000\n',
        message: 'inactive',
        line: 4,
      },
      {
        title: 'without a probe: the interrupt itself shows it',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,1\nrestore,0,0,vtimer,5,0x1000\nvtimer_irq,,0\nvtimer_irq_end,,0\nentry,0,0\n',
        message: 'interrupt-before-entry',
        line: 5,
      },
      {
        title: 'the background timer has fired, and the load leaves the interrupt inactive (bug 22)',
        model: 'load-put-4.16',
        trace:
          'event,vcpu,cpu,timer,irq,level\nload,0,0\nset_active,0,0,vtimer,27,0\nentry,0,0\nexit,0,0\nschedule,0,0\nbg_arm,0,0\nput,0,0\nbg_expire,0,0\nload,0,0\nset_active,0,0,vtimer,27,0\nvtimer_irq,,0\nupdate_irq,0,0,,27,1\nvtimer_irq_end,,0\nunschedule,0,0\nentry,0,0\n',
        message: 'known-pending-inactive',
        line: 12,
      },
      {
        title: 'a load that leaves the active state as another vcpu had it',
        model: 'load-put-5.0',
        trace:
          'event,vcpu,cpu,timer,irq,level\nload,0,0\nset_active,0,0,vtimer,27,0\nentry,0,0\nexit,0,0\nput,0,0\nload,0,0\nentry,0,0\n',
        message: 'unwritten',
        line: 8,
      },
      {
        title: 'the level is reported only after the restore',
        model: 'offset',
        trace:
          'event,vcpu,cpu,timer,irq,level,ctl,cval\nload,0,0\nupdate_irq,0,0,,27,0\nset_active,0,0,vtimer,27,0\nrestore,0,0,vtimer,,,1,0x1000\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,,,1,0x1000\nload,0,0\nrestore,0,0,vtimer,,,1,0x1000\nupdate_irq,0,0,,27,0\nset_active,0,0,vtimer,27,0\nentry,0,0\n',
        message: 'unreported',
        line: 14,
      },
      {
        title: 'the active state is written for the irq of the other timer',
        model: 'timer-map',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level,dv,dp,ep\ntimer_map,0,0,,,,,,1,0,none\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,vtimer,,,12,1\nupdate_irq,0,0,,,,30,0\nset_active,0,0,,,,11,0\nrestore,0,0,vtimer,5,0x1000\nrestore,0,0,ptimer,0,0\nentry,0,0\nvtimer_irq,,0,,,,12\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0,,,,12\nexit,0,0\nput,0,0\nsave,0,0,vtimer,5,0x1000\nsave,0,0,ptimer,0,0\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,vtimer,,,12,1\nupdate_irq,0,0,,,,30,0\nset_active,0,0,,,,11,0\nrestore,0,0,vtimer,5,0x1000\nrestore,0,0,ptimer,0,0\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,5,0x1000\nsave,0,0,ptimer,0,0\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,,,,11,1\nupdate_irq,0,0,,,,30,0\nset_active,0,0,,,,11,0\nrestore,0,0,vtimer,5,0x1000\nrestore,0,0,ptimer,0,0\nentry,0,0\n',
        message: 'not-written',
        line: 35,
      },
      {
        title: 'without a probe: the timer map shows the load that does not report the level',
        model: 'offset',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level,dv,dp,ev,ep,ec\ntimer_map,0,0,,,,,,1,none,none,0\nupdate_irq,0,0,,,,27,1\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\ntimer_map,0,0,,,,,,1,none,none,0\nsave,0,0,vtimer,1,0x1000\nsched_switch,0,0\ntimer_map,0,0,,,,,,1,none,none,0\nupdate_irq,0,0,,,,27,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\ntimer_map,0,0,,,,,,1,none,none,0\nsave,0,0,vtimer,1,0x1000\nsched_switch,0,0\ntimer_map,0,0,,,,,,1,none,none,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\n',
        message: 'unreported',
        line: 19,
      },
      {
        title: 'a GICv5 guest: the put does not clear the active state',
        model: 'stateless-level',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,536870939,0\nset_active,0,0,vtimer,,,27,1\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,1,0x1000\nuserspace_exit,0,0\n',
        message: 'left-active',
        line: 10,
      },
      {
        title: 'a load that neither reports a level nor writes the active state',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,irq,level,dv,dp,ep\ntimer_map,0,0,,,,vtimer,none,ptimer\nload,0,0\nupdate_irq,0,0,,27,0\nset_active,0,0,vtimer,27,0\nrestore,0,0,vtimer\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer\nload,0,0\nrestore,0,0,vtimer\nentry,0,0\n',
        message: 'unwritten',
        line: 13,
      },
    ],
  },
  create(context) {
    if (context.model.id === 'world-switch') return activeStateAtFlush(context);
    if (context.candidates.some((id) => ignoringLevel.includes(id))) return activeStateIgnoringLevel(context);
    const { machine } = context;
    const timers: LoadedTimer[] = [];
    /** By CPU: the context whose level was reported last in a load, for an active-state write of unknown irq. */
    const latest: number[] = [];
    /** Vcpus whose load has left anything to forget. */
    const begun = new Marks();
    /** By vcpu: loaded with its timer enabled, and neither entered nor put since. */
    const open = new Marks();
    /** By vcpu: bits of the timers whose active state its load has written. */
    const writes: number[] = [];
    /** Vcpus whose guest has a GICv5. */
    const gicv5 = new Marks();

    const isTraced = tracedModels.some((id) => id === context.model.id);
    const reports = isTraced ? new LoadReports(context) : undefined;
    const withoutCause = isTraced ? new ActiveWithoutCause(context) : undefined;

    /** From 5.2 on a load reports the level of every direct timer before it restores it. */
    function reported(event: TimerEvent): void {
      const begin = reports?.missing(event);
      // Of a timer that has expired by then expired-timer-asserted tells.
      if (begin === undefined || reports?.isExpired(begin, event)) return;
      violate(event, 'unreported', event.vcpu, event.timer, [begin]);
    }

    /** A GICv5 guest owns the interrupts of its direct timers only while it is loaded. */
    function leftActive(event: TimerEvent): void {
      const { vcpu, cpu } = event;
      for (let timer = 0; timer < contextCount; timer++) {
        const own = timers[vcpu * contextCount + timer];
        if (own === undefined || !isGicv5Ppi(own.report.irq) || machine.cpu(cpu).active[timer] !== yes) continue;
        violate(event, 'left-active', vcpu, timer, [machine.vcpu(vcpu).last[Kind.put]]);
      }
    }

    /** A load whose records are complete has written the active state of every direct timer. */
    function complete(event: TimerEvent): void {
      if (!open.delete(event.vcpu)) return;
      // Hosts without a usable active state mask the interrupt instead.
      if (!context.records(Kind.set_active) || context.records(Kind.mask_irq)) return;
      const vcpu = machine.vcpu(event.vcpu);
      if (vcpu.isNested || vcpu.unseen) return context.undecided(event, because.blind);
      const written = writes[event.vcpu] as number;
      const timer = (written & (1 << Timer.vtimer)) === 0 ? Timer.vtimer : vcpu.directPtimer;
      if (timer < 0 || (written & (1 << timer)) !== 0) return context.hold(event);
      context.violate(event, {
        message: 'unwritten',
        data: { timer: timerText(timer), vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
        witness: [vcpu.last[Kind.load]],
        explainedBy: ['set_active'],
      });
    }

    /** By timer: its Linux irq, where the record of an interrupt names it. */
    const irqs: number[] = [];
    /** Bits of the timers of whose irq an active state has been written as well. */
    let known = 0;

    /** Bits of the timers that have another irq than the one whose active state is written. */
    function others({ timer, irq }: TimerEvent): number {
      return timer < 0 && irq >= 0 ? known : 0;
    }

    function state(vcpu: number, timer: number): LoadedTimer {
      const key = vcpu * contextCount + timer;
      begun.add(vcpu);
      timers[key] ??= new LoadedTimer();
      return timers[key] as LoadedTimer;
    }

    /** The guest ran or the vcpu left: the next load starts afresh. */
    function afresh(event: TimerEvent): void {
      if (!begun.delete(event.vcpu)) return;
      for (let timer = 0; timer < contextCount; timer++) {
        const loaded = timers[event.vcpu * contextCount + timer];
        if (loaded === undefined) continue;
        loaded.level = -1;
        loaded.written = false;
        loaded.restored = false;
      }
      latest[event.cpu] = -1;
    }

    function violate(event: TimerEvent, message: string, vcpu: number, timer: number, witness: TimerEvent[]): void {
      context.violate(event, {
        message,
        data: { timer: timerText(timer), vcpu: vcpuName(machine, vcpu), cpu: event.cpu },
        witness,
      });
      state(vcpu, timer).level = -1;
    }

    return {
      before: {
        load(event) {
          if (event.vcpu < 0) return;
          // A load that follows from its restore comes too late here: the active state has been written by then.
          if (machine.vcpu(event.vcpu).enabled === yes && event.certainty === Certainty.recorded) open.add(event.vcpu);
          else open.delete(event.vcpu);
          writes[event.vcpu] = 0;
        },
        entry(event) {
          withoutCause?.entry(event);
          complete(event);
          if (!begun.has(event.vcpu)) return;
          if (!context.records(Kind.set_active)) {
            for (let timer = 0; timer < contextCount; timer++) {
              const loaded = timers[event.vcpu * contextCount + timer];
              if (loaded?.level === 1 && loaded.restored && context.records(Kind.vtimer_irq))
                context.hold(loaded.report);
            }
          }
          afresh(event);
        },
        exit(event) {
          afresh(event);
          withoutCause?.exit(event);
        },
        put(event) {
          withoutCause?.put(event);
          open.delete(event.vcpu);
          afresh(event);
        },
        put_end(event) {
          if (gicv5.has(event.vcpu)) leftActive(event);
          afresh(event);
        },
        update_irq(event) {
          reports?.reported(event);
          withoutCause?.reported(event);
          if (event.vcpu < 0 || event.timer < 0 || event.context === Context.hardirq) return;
          if (machine.vcpu(event.vcpu).isEmulated(event.timer)) return;
          const loaded = state(event.vcpu, event.timer);
          if (loaded.restored) return;
          loaded.level = event.level;
          loaded.written = false;
          if (isGicv5Ppi(event.irq)) gicv5.add(event.vcpu);
          loaded.report = replaceEvent(loaded.report, event);
          latest[event.cpu] = event.timer;
        },
        timer_map(event) {
          reports?.mapped(event);
        },
        set_active(event) {
          // Whoever writes it, and whichever it is where the timer of the irq is not known.
          const { running } = machine.cpu(event.cpu);
          const bits = event.timer >= 0 ? 1 << event.timer : ~others(event);
          if (event.timer >= 0 && irqs[event.timer] === event.irq) known |= bits;
          if (running >= 0) writes[running]! |= bits;
          if (event.vcpu >= 0 && event.vcpu !== running) writes[event.vcpu]! |= bits;
          if (event.vcpu < 0 || event.context === Context.hardirq) return;
          const timer = event.timer >= 0 ? event.timer : (latest[event.cpu] ?? -1);
          if (timer < 0 || (bits & (1 << timer)) === 0) return;
          const loaded = state(event.vcpu, timer);
          if (loaded.restored) return;
          loaded.written = true;
          // The RFC and 4.15 report no level in their load: they use the one that is cached.
          const cached = cachesLine(context) && machine.vcpu(event.vcpu).contexts[timer]?.level === yes;
          if (loaded.level < 0 && !cached) return;
          // A GICv5 guest owns the interrupt while it is loaded, whatever the level.
          if (event.level === 0 && isGicv5Ppi(loaded.report.irq))
            return violate(event, 'inactive-direct', event.vcpu, timer, [loaded.report]);
          const before = loaded.level === 0 ? withoutCause?.written(event, timer, loaded.report) : undefined;
          if (before !== undefined) return withoutCause?.violation(event, timer, loaded.report, before);
          // With the level low the state is that of the virtual interrupt, which leaves no record: both may be right.
          if (event.level === 1 || (loaded.level === 0 && !cached)) context.hold(event);
          else {
            // Whoever has raised the cached level is part of the proof: what was lost since may have lowered it.
            const { update } = machine.vcpu(event.vcpu).contexts[timer] as TimerContext;
            violate(event, 'inactive', event.vcpu, timer, [loaded.level === 1 ? loaded.report : update]);
          }
        },
        restore(event) {
          if (event.vcpu < 0 || event.timer < 0) return;
          const loaded = state(event.vcpu, event.timer);
          reported(event);
          loaded.restored = true;
          if (loaded.level !== 1 || loaded.written) return;
          // Hosts without a usable active state mask the interrupt instead.
          if (!context.records(Kind.set_active) || context.records(Kind.mask_irq)) return;
          violate(event, 'not-written', event.vcpu, event.timer, [loaded.report]);
          open.delete(event.vcpu);
        },
        vtimer_irq(event) {
          if (event.timer < 0) return;
          if (event.certainty === Certainty.recorded && event.irq >= 0) irqs[event.timer] = event.irq;
          const vcpu = machine.cpu(event.cpu).running;
          if (vcpu < 0 || context.records(Kind.set_active)) return;
          const loaded = timers[vcpu * contextCount + event.timer];
          if (loaded === undefined || loaded.level !== 1 || !loaded.restored) return;
          const { restore } = machine.vcpu(vcpu).contexts[event.timer] ?? {};
          violate(
            event,
            'interrupt-before-entry',
            vcpu,
            event.timer,
            restore === undefined ? [loaded.report] : [loaded.report, restore],
          );
        },
        lost() {
          for (const loaded of timers) if (loaded !== undefined) loaded.level = -1;
          open.clear();
          withoutCause?.forgetAll();
        },
        userspace_exit(event) {
          withoutCause?.userspace(event);
        },
      },
      end(event) {
        for (const loaded of timers) if (loaded?.level === 1) context.undecided(event, because.ends);
      },
    };
  },
});
