import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import { no, unknown, yes } from '../machine/state.js';
import { because, type Handler, type RuleContext, type RuleHandlers } from './context.js';
import { defineRule } from './rule.js';
import { vcpuName } from './support.js';

export default defineRule({
  id: 'flush-entry-sync-order',
  statement:
    'Up to 4.14 every entry follows a flush on the same CPU with no switch in between, and a sync follows every flush before anything else of the vcpu. In the RFC and in 4.15 the sync runs between the real exit and the first interrupt of that exit, in the RFC only there.',
  why: 'The flush prepares the timer of this CPU for this entry: one left out, or done elsewhere, gives the guest the state of another CPU, and a sync left out swallows an expiry.',
  models: { 'world-switch': 'warning', 'rfc-load-put': 'warning', 'load-put-4.15': 'warning' },
  needs: ['sync', 'entry', ['flush', 'exit']],
  source:
    'kvm_arch_vcpu_ioctl_run; RFC hunks of arm.c; 7e16aa81f9f6 (the flush had run preemptibly); specification §0.5 point 5, §4.7',
  messages: {
    'entry-without-flush': {
      headline: '{vcpu} enters the guest on CPU {cpu} without a flush since its last sync',
      given: '{vcpu} had come back from its last entry and been synced',
      must: 'kvm_timer_flush_hwstate runs before the next entry',
      but: '{vcpu} was entered without it',
      therefore: 'level and active state are those of another time: an expiry is told late, or told again',
    },
    'switched-after-flush': {
      headline: '{vcpu} leaves CPU {cpu} by a {kind} between its flush and its sync',
      given: '{vcpu} had been flushed on CPU {before}',
      must: 'preemption is off from the flush to the sync',
      but: 'a {kind} of it was recorded',
      therefore: 'the active state was written on one CPU and the guest entered on another (7e16aa81f9f6)',
    },
    'without-sync': {
      headline: 'a {kind} of {vcpu} follows a flush on CPU {cpu} without a sync in between',
      given: '{vcpu} had been flushed for an entry',
      must: 'kvm_timer_sync_hwstate follows, whether the guest was entered or not',
      but: 'a {kind} of it was recorded first',
      therefore: 'a timer that expired in the guest is not reported, and the hrtimer of the physical timer stays armed',
    },
    'sync-without-flush': {
      headline: '{vcpu} is synced on CPU {cpu} without a flush since its last sync',
      given: '{vcpu} had been synced',
      must: 'a flush comes before the next sync',
      but: '{vcpu} was synced again',
      therefore: 'an entry without a flush, or a sync too many',
    },
    'interrupt-before-sync': {
      headline: 'a timer interrupt is handled on CPU {cpu} after the exit of {vcpu} and before its sync',
      given: '{vcpu} was in the guest on CPU {cpu}',
      must: 'the sync runs with interrupts off, before the first of them',
      but: 'the handler ran first',
      therefore: 'the sync reads registers that the handler has judged already',
    },
    'exit-without-sync': {
      headline: '{vcpu} exits on CPU {cpu} without a sync',
      given: '{vcpu} had entered the guest',
      must: 'the sync runs between the real exit and kvm_exit',
      but: 'none was recorded',
      therefore: 'a level that the guest has cancelled stays high',
    },
    'sync-outside': {
      headline: '{vcpu} is synced on CPU {cpu} outside an exit',
      given: '{vcpu} was not in the guest',
      must: 'the sync runs at a real exit only, never for an entry that was aborted',
      but: 'it ran',
      therefore: 'the level is lowered by a host that has not run the guest',
    },
  },
  examples: {
    legal: [
      {
        title: 'flush, entry, exit, sync; an aborted entry has no entry',
        model: 'world-switch',
        trace: 'event,vcpu,cpu\nload,0,0\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nflush,0,0\nsync,0,0\nput,0,0\n',
      },
      {
        title: 'the sync lowers the level before the interrupt of the same exit',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nentry,0,0\nsync,0,0\nvtimer_irq,,0\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\n',
      },
    ],
    violating: [
      {
        title: 'entered without a flush',
        model: 'world-switch',
        trace: 'event,vcpu,cpu\nload,0,0\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nentry,0,0\nexit,0,0\nsync,0,0\n',
        message: 'entry-without-flush',
        line: 7,
      },
      {
        title: 'preempted between flush and entry',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,next,state\nload,0,0\nflush,0,0\nsched_switch,0,0,1,R\nput,0,0\nload,0,1\nentry,0,1\nexit,0,1\nsync,0,1\n',
        message: 'switched-after-flush',
        line: 4,
      },
      {
        title: 'the exit is not synced',
        model: 'world-switch',
        trace: 'event,vcpu,cpu\nload,0,0\nflush,0,0\nentry,0,0\nexit,0,0\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\n',
        message: 'without-sync',
        line: 6,
      },
      {
        title: 'synced twice',
        model: 'world-switch',
        trace: 'event,vcpu,cpu\nload,0,0\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nsync,0,0\n',
        message: 'sync-without-flush',
        line: 7,
      },
      {
        title: 'the interrupt comes before the sync',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nentry,0,0\nvtimer_irq,,0\nvtimer_irq_end,,0\nsync,0,0\nexit,0,0\n',
        message: 'interrupt-before-sync',
        line: 4,
      },
      {
        title: 'no sync at an exit',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nentry,0,0\nsync,0,0\nexit,0,0\nentry,0,0\nexit,0,0\n',
        message: 'exit-without-sync',
        line: 7,
      },
      {
        title: 'a sync for an aborted entry',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nentry,0,0\nsync,0,0\nexit,0,0\nsync,0,0\n',
        message: 'sync-outside',
        line: 6,
      },
    ],
  },
  create(context) {
    return context.model.id === 'world-switch' ? worldSwitch(context) : syncAtExit(context);
  },
});

/** Where a vcpu stands in its run loop. */
enum Phase {
  unknown,
  /** Synced: it may leave the CPU. */
  synced,
  /** Flushed, with preemption off until the sync, entered or not. */
  flushed,
}

/** 4.4 to 4.14. */
function worldSwitch(context: RuleContext): RuleHandlers {
  const { machine } = context;
  /** By vcpu. */
  const phases: Phase[] = [];
  const cpus: number[] = [];

  function violate(event: TimerEvent, message: string): void {
    const vcpu = machine.vcpu(event.vcpu);
    context.violate(event, {
      message,
      data: {
        vcpu: vcpuName(machine, event.vcpu),
        cpu: event.cpu,
        before: cpus[event.vcpu] ?? -1,
        kind: kindNames[event.kind] as string,
      },
      witness: [vcpu.last[Kind.sync], vcpu.last[Kind.flush]],
    });
  }

  /** Takes the phase, and answers whether anything is known. */
  function phaseOf(event: TimerEvent): Phase {
    // A trace without any flush has no occasion for the rule.
    if (!context.records(Kind.flush)) return Phase.unknown;
    if (event.vcpu < 0) {
      context.undecided(event, because.unattributed);
      return Phase.unknown;
    }
    const phase = phases[event.vcpu] ?? Phase.unknown;
    if (phase === Phase.unknown) context.undecided(event, because.initial);
    return phase;
  }

  function move(event: TimerEvent, phase: Phase): void {
    if (event.vcpu < 0) return;
    phases[event.vcpu] = context.records(Kind.flush) ? phase : Phase.unknown;
    cpus[event.vcpu] = event.cpu;
  }

  /** What happens with preemption on, only after a sync. */
  const leave: Handler = (event) => {
    if (event.vcpu < 0 || phases[event.vcpu] === undefined || phases[event.vcpu] === Phase.unknown) return;
    if (phases[event.vcpu] === Phase.synced) return context.hold(event);
    if (event.certainty >= Certainty.approximate || event.attribution >= Certainty.approximate) return;
    // The same CPU has recorded both; that its thread was switched out tells more than that the sync is missing.
    const entered = machine.vcpu(event.vcpu).last[Kind.entry].serial > machine.vcpu(event.vcpu).last[Kind.flush].serial;
    const switched = event.kind === Kind.sched_switch || event.cpu !== cpus[event.vcpu];
    if (switched && !entered) violate(event, 'switched-after-flush');
    else violate(event, 'without-sync');
    phases[event.vcpu] = Phase.unknown;
  };

  return {
    before: {
      flush(event) {
        const phase = phaseOf(event);
        if (phase === Phase.synced) context.hold(event);
        else if (phase === Phase.flushed) violate(event, 'without-sync');
        move(event, Phase.flushed);
      },
      entry(event) {
        const phase = phaseOf(event);
        if (phase === Phase.synced) {
          violate(event, 'entry-without-flush');
          // One that was left out explains the rest of this stay.
          phases[event.vcpu] = Phase.unknown;
        } else if (phase === Phase.flushed) {
          if (cpus[event.vcpu] === event.cpu) return context.hold(event);
          violate(event, 'switched-after-flush');
          phases[event.vcpu] = Phase.unknown;
        }
      },
      sync(event) {
        const phase = phaseOf(event);
        if (phase === Phase.synced) violate(event, 'sync-without-flush');
        else if (phase === Phase.flushed) context.hold(event);
        move(event, Phase.synced);
      },
      put: leave,
      schedule: leave,
      sched_switch: leave,
      lost(event) {
        for (const vcpu of machine.vcpus) {
          // With preemption off it stays where it is.
          const elsewhere = cpus[vcpu.index] !== event.cpu && phases[vcpu.index] === Phase.flushed;
          if (!elsewhere) phases[vcpu.index] = Phase.unknown;
        }
      },
    },
  };
}

/** The RFC and 4.15: kvm_timer_sync_hwstate with interrupts off, soon after the real exit. */
function syncAtExit(context: RuleContext): RuleHandlers {
  const { machine } = context;
  /** By vcpu: the sync of its stay in the guest was seen. */
  const synced: boolean[] = [];
  const told: boolean[] = [];

  function violate(event: TimerEvent, vcpu: number, message: string): void {
    context.violate(event, {
      message,
      data: { vcpu: vcpuName(machine, vcpu), cpu: event.cpu },
      witness: [machine.vcpu(vcpu).last[Kind.entry]],
    });
  }

  return {
    before: {
      entry(event) {
        if (event.vcpu < 0) return;
        synced[event.vcpu] = false;
        told[event.vcpu] = false;
      },
      sync(event) {
        if (event.vcpu < 0) return context.undecided(event, because.unattributed);
        const { inGuest } = machine.vcpu(event.vcpu);
        if (inGuest === unknown) return context.undecided(event, because.initial);
        if (inGuest === no) {
          // 4.15 syncs an entry that was aborted as well.
          if (context.model.id === 'rfc-load-put') violate(event, event.vcpu, 'sync-outside');
          return;
        }
        synced[event.vcpu] = true;
        if (told[event.vcpu] !== true) context.hold(event);
      },
      vtimer_irq(event) {
        const { running } = machine.cpu(event.cpu);
        if (running < 0 || machine.vcpu(running).inGuest !== yes || told[running] === true) return;
        if (machine.vcpu(running).last[Kind.entry].cpu !== event.cpu) return;
        if (synced[running] === true) return context.hold(event);
        told[running] = true;
        violate(event, running, 'interrupt-before-sync');
      },
      exit(event) {
        if (event.vcpu < 0 || told[event.vcpu] === true) return;
        if (machine.vcpu(event.vcpu).inGuest !== yes) return;
        if (synced[event.vcpu] === false) violate(event, event.vcpu, 'exit-without-sync');
      },
    },
  };
}
