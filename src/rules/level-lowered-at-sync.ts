import { Context, Ctl, canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, type TimerContext, unknown, type VcpuState, yes } from '../machine/state.js';
import { because, type Handler, type RuleContext, type RuleHandlers } from './context.js';
import { Marks, always as unconditional, when } from './occasion.js';
import { defineRule } from './rule.js';
import { ctlText, everyModel, Slots, timerText, vcpuName } from './support.js';

const expiring = 'the timer may have expired between its save and the sync';

export default defineRule({
  id: 'level-lowered-at-sync',
  statement:
    'After the sync of an exit the level is high only for a timer that can fire; up to 4.14 it is also high for every timer that had expired. Since 4.16 only for vcpus with a userspace irqchip: elsewhere the vgic samples the line.',
  why: 'A guest that has cancelled its timer must not take its interrupt, and one whose timer has expired must.',
  models: everyModel('error'),
  needs: ['update_irq', ['sync', 'save'], 'entry'],
  source: 'kvm_timer_sync_hwstate, kvm_timer_update_state; RFC hunk of arch_timer.c; specification §4.5',
  messages: {
    'not-lowered': {
      headline: 'the level of the {timer} of {vcpu} stays high after a sync, although CTL {ctl} does not let it fire',
      given: 'the guest has left its timer disabled or masked: CTL {ctl}',
      must: 'the sync of that exit lowers the level',
      but: 'it was still high afterwards',
      therefore: 'the guest takes an interrupt that it has cancelled',
    },
    'lowered-while-firing': {
      headline: 'the sync of {vcpu} lowers the level of its {timer}, which was expired all the time (CTL {ctl})',
      given: 'the {timer} of {vcpu} was restored expired, and saved with the same CVAL, expired',
      must: 'the level stays high as long as the timer fires',
      but: 'the sync in between reported level 0',
      therefore: 'the guest loses the interrupt of its timer',
    },
    'not-raised': {
      headline: 'the level of the {timer} of {vcpu} stays low after a sync, although the timer has expired (CTL {ctl})',
      given: 'the exit has saved CTL {ctl}: enabled, not masked, its condition met',
      must: 'the sync of that exit raises the level',
      but: 'it was still low afterwards',
      therefore: 'the guest does not get the interrupt of its timer',
    },
  },
  examples: {
    legal: [
      {
        title: 'raised and lowered by syncs',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval,irq,level\nload,0,0\nflush,0,0,1,0x1000,,0\nentry,0,0\nexit,0,0\nsync,0,0,5,0x1000,,0\nupdate_irq,0,0,,,27,1\nflush,0,0,5,0x1000,,1\nentry,0,0\nexit,0,0\nsync,0,0,7,0x1000,,1\nupdate_irq,0,0,,,27,0\nflush,0,0,7,0x1000,,0\n',
      },
      {
        title: 'lowered by the sync of the exit',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nupdate_irq,0,0,,,,27,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,3,0x1000\n',
      },
      {
        title:
          'the exit of a nested hypervisor lowers the level of its guest, whose own exits then do not: only the other vcpu has a userspace irqchip',
        model: 'stateless-level',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level,context,dv,dp,ev,ep\ntimer_map,0,0,,,,,,,2,3,1,0\nload,0,0,,,,,,,,,,\nrestore,0,0,hvtimer,0,0,,,,,,,\nupdate_irq,0,0,vtimer,,,27,1,task,,,,\nentry,0,0,,,,,,,,,,\nupdate_irq,0,0,vtimer,,,27,0,task,,,,\nexit,0,0,,,,,,,,,,\nput,0,0,,,,,,,,,,\nsave,0,0,hvtimer,0,0,,,,,,,\ntimer_map,0,0,,,,,,,1,0,2,3\nload,0,0,,,,,,,,,,\nupdate_irq,0,0,vtimer,,,27,1,task,,,,\nrestore,0,0,vtimer,1,0x1000,,,,,,,\nentry,0,0,,,,,,,,,,\nexit,0,0,,,,,,,,,,\nput,0,0,,,,,,,,,,\nsave,0,0,vtimer,3,0x1000,,,,,,,\nload,1,1,,,,,,,,,,\nrestore,1,1,vtimer,1,0x1000,,,,,,,\nupdate_irq,1,1,,,,27,1,,,,,\nentry,1,1,,,,,,,,,,\nupdate_irq,1,1,,,,27,0,task,,,,\nexit,1,1,,,,,,,,,,\n',
      },
    ],
    violating: [
      {
        title: 'the sync lowers the level without looking at the timer',
        model: 'load-put-4.15',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level,value\nload,0,0\nrestore,0,0,vtimer,5,0x1000\nvtimer_irq,,0\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0\nentry,0,0\nsync,0,0,,,,,,0x70\nupdate_irq,0,0,,,,27,0\nexit,0,0\nput,0,0,,,,,,0x70\nsave,0,0,vtimer,5,0x1000\n',
        message: 'lowered-while-firing',
        line: 9,
      },
      {
        title: 'the sync does not lower the level of a masked timer',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval,irq,level\nload,0,0\nflush,0,0,1,0x1000,,0\nentry,0,0\nexit,0,0\nsync,0,0,5,0x1000,,0\nupdate_irq,0,0,,,27,1\nflush,0,0,5,0x1000,,1\nentry,0,0\nexit,0,0\nsync,0,0,7,0x1000,,1\nflush,0,0,7,0x1000,,1\n',
        message: 'not-lowered',
        line: 11,
      },
      {
        title: 'the sync does not raise the level of an expired timer',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval,irq,level\nload,0,0\nflush,0,0,1,0x1000,,0\nentry,0,0\nexit,0,0\nsync,0,0,5,0x1000,,0\nflush,0,0,5,0x1000,,0\nentry,0,0\n',
        message: 'not-raised',
        line: 6,
      },
      {
        title: 'a host without active state: the guest has masked its timer, and the sync does nothing',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,,,27,1\nmask_irq,0,0,vtimer,,,,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,3,0x1000\n',
        message: 'not-lowered',
        line: 11,
      },
      {
        title: 'the guest has masked its timer, and the level stays',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,3,0x1000\n',
        message: 'not-lowered',
        line: 9,
      },
    ],
  },
  create(context) {
    return context.model.id === 'world-switch' ? bothWays(context) : lowering(context);
  },
});

function violate(context: RuleContext, event: TimerEvent, message: string, ctl: number, at: TimerEvent): void {
  const { machine } = context;
  const state = machine.vcpu(event.vcpu).contexts[Timer.vtimer] as TimerContext;
  context.violate(event, {
    message,
    data: { timer: timerText(Timer.vtimer), vcpu: vcpuName(machine, event.vcpu), ctl: ctlText(ctl) },
    witness: [state.update, event],
    at,
  });
}

/** 4.4 to 4.14: a probe on the sync shows what the exit has saved, and update_state makes the level follow it. */
function bothWays(context: RuleContext): RuleHandlers {
  const { machine } = context;
  /** Syncs whose effect is still to be seen, by vcpu. */
  const syncs = new Slots();

  /** ISTATUS is of the last exit, and the guest's counter has not been set since: the timer has expired for good. */
  function hasExpired(sync: TimerEvent, vcpu: VcpuState): boolean {
    const flush = vcpu.last[Kind.flush];
    const wasEntered = vcpu.last[Kind.entry].serial > flush.serial && flush.serial > 0;
    return wasEntered && sync.valueHi === flush.valueHi && sync.valueLo === flush.valueLo;
  }

  function judge(event: TimerEvent, sync: TimerEvent): void {
    const vcpu = machine.vcpu(event.vcpu);
    const { level } = vcpu.contexts[Timer.vtimer] as TimerContext;
    // The next flush reads the level itself.
    const now = event.kind === Kind.flush && event.level >= 0 ? event.level : level;
    if (now === unknown) return context.undecided(sync, because.initial);
    if (!canFire(sync.ctl))
      return now === no ? context.hold(sync) : violate(context, event, 'not-lowered', sync.ctl, sync);
    if ((sync.ctl & Ctl.istatus) === 0) {
      // Low may come to be high at any moment.
      return now === no ? context.hold(sync) : context.undecided(sync, expiring);
    }
    if (now === yes) return context.hold(sync);
    if (hasExpired(sync, vcpu)) violate(context, event, 'not-raised', sync.ctl, sync);
    else context.undecided(sync, 'the counter of the guest may have been set since its condition was met');
  }

  /** The vcpu goes on: the sync has done what it does. */
  const goesOn: Handler = (event) => {
    const sync = event.vcpu < 0 ? undefined : syncs.take(event.vcpu);
    if (sync !== undefined) judge(event, sync);
  };

  return {
    before: {
      sync(event) {
        goesOn(event);
        if (event.vcpu < 0) return context.undecided(event, because.unattributed);
        if (event.ctl < 0) return context.undecided(event, because.noRegisters);
        syncs.set(event.vcpu, event);
      },
      flush: goesOn,
      entry: goesOn,
      schedule: goesOn,
      wfx: goesOn,
      userspace_exit: goesOn,
      sched_switch: goesOn,
      put: goesOn,
      lost() {
        syncs.each((sync, vcpu) => {
          context.undecided(sync, because.initial);
          syncs.clear(vcpu);
        });
      },
    },
    end() {
      syncs.each((sync) => context.undecided(sync, because.ends));
    },
  };
}

/** Later: the sync of an exit lowers a level that was high at the entry; the next save shows the registers. */
function lowering(context: RuleContext): RuleHandlers {
  const { machine, model } = context;
  const always = model.id === 'rfc-load-put' || model.id === 'load-put-4.15';
  /** By vcpu: a sync has lowered its level, which since 4.16 happens for a userspace irqchip only. */
  const lowers: boolean[] = [];
  /** Vcpus that may have one: whose levels no vgic has been seen to take. */
  const without = new Marks();
  machine.whenAdded((vcpu) => without.add(vcpu.index));
  const possible = always ? unconditional : without.occasion;
  /** By vcpu: its level was high at the entry. */
  const high: boolean[] = [];
  /** Exits with the level still high, by vcpu. */
  const exits = new Slots();
  /** Reports of syncs that have lowered the level, by vcpu. */
  const lowered = new Slots(exits.occasion);

  /**
   * Whether a timer that was restored expired was saved as it had been restored: it had expired all the time. Only the counter
   * can have been set back, which the offset tells.
   */
  function wasExpired(event: TimerEvent, vcpu: VcpuState): boolean {
    const { restoredCtl, restoredCvalKnown, restoredCvalHi, restoredCvalLo } = vcpu.contexts[
      Timer.vtimer
    ] as TimerContext;
    const sync = vcpu.last[Kind.sync];
    if (!restoredCvalKnown || restoredCvalHi !== event.cvalHi || restoredCvalLo !== event.cvalLo) return false;
    if ((restoredCtl & event.ctl & Ctl.istatus) === 0 || !canFire(restoredCtl) || !canFire(event.ctl)) return false;
    return sync.hasValue && sync.valueHi === vcpu.offset.valueHi && sync.valueLo === vcpu.offset.valueLo;
  }

  return {
    before: {
      entry: when(possible, (event) => {
        if (event.vcpu < 0) return;
        exits.clear(event.vcpu);
        lowered.clear(event.vcpu);
        high[event.vcpu] = (machine.vcpu(event.vcpu).contexts[Timer.vtimer] as TimerContext).level === yes;
      }),
      mask_irq(event) {
        // Only for an interrupt controller in userspace.
        if (event.vcpu >= 0 && without.has(event.vcpu)) lowers[event.vcpu] = true;
      },
      vgic_inject: when(without.occasion, (event) => {
        if (without.delete(event.vcpu)) lowers[event.vcpu] = false;
      }),
      update_irq: when(possible, (event) => {
        if (event.vcpu < 0 || event.timer !== Timer.vtimer) return;
        exits.clear(event.vcpu);
        // A nested hypervisor's exit evaluates the timers of its guest, whatever the irqchip.
        if (machine.vcpu(event.vcpu).isEmulated(event.timer)) return;
        const inExit = machine.vcpu(event.vcpu).inGuest === yes && machine.cpu(event.cpu).inTimerIrq !== yes;
        if (event.level !== 0 || !inExit || high[event.vcpu] !== true) return;
        // Only what certainly is no interrupt shows that this vcpu's level is lowered by syncs at all.
        if (event.context === Context.task && lowers[event.vcpu] !== false) lowers[event.vcpu] = true;
        if (always || lowers[event.vcpu] === true) context.hold(event);
        if (always) lowered.set(event.vcpu, event);
      }),
      exit: when(possible, (event) => {
        if (event.vcpu < 0 || high[event.vcpu] !== true) return;
        const { level } = machine.vcpu(event.vcpu).contexts[Timer.vtimer] as TimerContext;
        if (level === yes && (always || lowers[event.vcpu] === true)) exits.set(event.vcpu, event);
      }),
      save: when(exits.occasion, (event) => {
        const lower = event.vcpu < 0 || event.timer !== Timer.vtimer ? undefined : lowered.take(event.vcpu);
        if (lower !== undefined && event.hasCval && wasExpired(event, machine.vcpu(event.vcpu)))
          violate(context, event, 'lowered-while-firing', event.ctl, lower);
        const exit = event.vcpu < 0 || event.timer !== Timer.vtimer ? undefined : exits.take(event.vcpu);
        if (exit === undefined) return;
        if (event.ctl < 0) return context.undecided(exit, because.noRegisters);
        if (!canFire(event.ctl)) violate(context, event, 'not-lowered', event.ctl, exit);
        else if ((event.ctl & Ctl.istatus) !== 0) context.hold(exit);
        // The RFC and 4.15 compare CVAL with the counter, which ISTATUS may lag (§4.8, point 7).
        else context.undecided(exit, 'ISTATUS of the save does not tell whether the sync found the timer expired');
      }),
      lost() {
        exits.each((_, vcpu) => exits.clear(vcpu));
        high.fill(false);
      },
    },
  };
}
