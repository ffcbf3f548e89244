import { Certainty, Context, isGicv5Ppi, Register, Timer, type TimerEvent, writableCtl } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, no, type TimerContext, unknown, yes } from '../machine/state.js';
import type { ModelId } from '../models/model.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import { ctlText, everyModel, Slots, timerText, tracedModels, vcpuName } from './support.js';

/** The models whose reset makes the mapped interrupts of the vgic inactive, and whose load takes the state from there. */
const resettingVgic: readonly ModelId[] = ['load-put-4.16', 'load-put-5.0', 'timer-map', 'offset', 'stateless-level'];

export default defineRule({
  id: 'reset-clears-timer',
  statement:
    'After a reset the next restore of every context has ENABLE and IMASK clear, and no level is raised and no interrupt active before the first entry.',
  why: 'A guest that reboots must not be interrupted by the timer that it programmed before.',
  models: everyModel('error'),
  // From 5.1 on its reports give it away.
  needs: [
    ['reset', 'timer_map'],
    ['restore', 'update_irq', 'flush'],
  ],
  source: 'kvm_timer_vcpu_reset; 413aa807ae39, e761a927bc9a; specification §4.2, §4.8 point 9',
  messages: {
    'ctl-survives': {
      headline: 'the {timer} of {vcpu} is restored with CTL {ctl} after a reset',
      given: '{vcpu} was reset',
      must: 'the next restore writes CTL 0',
      but: 'it wrote CTL {ctl}',
      therefore: 'the reset was lost: the registers of the loaded vcpu were saved over it',
    },
    'active-survives': {
      headline: 'the {timer} interrupt of {vcpu} is set active on CPU {cpu} after a reset',
      given: '{vcpu} was reset inside KVM_RUN, and its level is low',
      must: 'the reset makes the interrupt inactive in the vgic, from which the load takes the state',
      but: 'the load set it active at the distributor',
      therefore: 'the guest boots with a timer interrupt that it does not know to be active, and gets no other',
    },
    'not-lowered': {
      headline: 'the reset of {vcpu} does not report level 0 of its {timer}',
      given: '{vcpu} has run before, and was reset',
      must: 'the reset reports level 0 of every timer, for the interrupt controller to forget it',
      but: '{vcpu} was loaded, and no level of its {timer} was reported since the reset',
      therefore: 'an interrupt that was pending before the reset may come after it',
    },
    'level-survives': {
      headline: 'the level of the {timer} of {vcpu} is high when it is reset, and is not lowered',
      given: 'the {timer} of {vcpu} had raised its level, and {vcpu} was reset',
      must: 'the reset evaluates the disabled timer, and reports level 0',
      but: '{vcpu} went on without such a report',
      therefore: 'the guest boots with a timer interrupt pending',
    },
    'level-raised': {
      headline: 'the {timer} of {vcpu} raises its interrupt between a reset and the first entry',
      given: '{vcpu} was reset',
      must: 'no level is raised until the guest has run',
      but: 'kvm_timer_update_irq reported level 1',
      therefore: 'the guest boots with a timer interrupt pending',
    },
  },
  examples: {
    legal: [
      {
        title: 'reset inside an ioctl, the next flush finds CTL 0',
        model: 'world-switch',
        trace: 'event,vcpu,cpu,ctl,cval\nload,0,0\nreset,0,0\nput,0,0\nload,0,0\nflush,0,0,0,0x1000\nentry,0,0\n',
      },
      {
        title: 'reset while put, restored with CTL 0',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,1,0x1000\nreset,0,0\nload,0,0\nrestore,0,0,vtimer,0,0x1000\n',
      },
    ],
    violating: [
      {
        title: 'the reset reports the physical timer only',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,0\nupdate_irq,0,0,,,,30,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,1,0x1000\nreset,0,0\nupdate_irq,0,0,,,,30,0\nload,0,0\n',
        message: 'not-lowered',
        line: 12,
      },
      {
        title: 'the level is high, and the reset does not look at it',
        model: 'load-put-4.15',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,5,0x1000\nload,0,0\nreset,0,0\nput,0,0\nload,0,0\n',
        message: 'level-survives',
        line: 12,
      },
      {
        title: 'the reset leaves the memory copy alone',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval\nload,0,0\nflush,0,0,0,0\nentry,0,0\nexit,0,0\nsync,0,0,1,0x1000\nreset,0,0\nflush,0,0,1,0x1000\nentry,0,0\n',
        message: 'ctl-survives',
        line: 8,
      },
      {
        title: 'the interrupt is still active in the vgic (413aa807ae39)',
        model: 'load-put-4.16',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level,code,ec\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0\nexit,0,0,,,,,,TRAP,HVC64\nput,0,0\nsave,0,0,vtimer,5,0x1000\nreset,0,0\nupdate_irq,0,0,,,,27,0\nload,0,0\nset_active,0,0,vtimer,,,,1\nrestore,0,0,vtimer,0,0x1000\nentry,0,0\n',
        message: 'active-survives',
        line: 14,
      },
      {
        title: 'reset while loaded: the put saves the running timer over it (W4)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nreset,0,0\nput,0,0\nsave,0,0,vtimer,1,0x1000\nload,0,0\nrestore,0,0,vtimer,1,0x1000\n',
        message: 'ctl-survives',
        line: 7,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    const isTraced = tracedModels.some((id) => id === context.model.id);
    const resetsVgic = resettingVgic.includes(model.id);
    /** Pending resets by vcpu and context. */
    const resets = new Slots();
    /** Up to 5.0 kvm_timer_update_state in the reset lowers the level; in the RFC it reads a loaded timer back (W4). */
    const evaluates = !model.recordsSaveRestore && model.id !== 'rfc-load-put';
    /** By vcpu: a reset with the virtual timer's level high. */
    const high = new Slots();

    /** The reset is over: its level has been lowered, or is not going to be. */
    function over(event: TimerEvent): void {
      const reset = event.vcpu < 0 ? undefined : high.take(event.vcpu);
      if (reset === undefined) return;
      context.violate(event, {
        message: 'level-survives',
        data: { timer: timerText(Timer.vtimer), vcpu: vcpuName(machine, event.vcpu) },
        witness: [(machine.vcpu(event.vcpu).contexts[Timer.vtimer] as TimerContext).update, event],
        at: reset,
      });
    }

    /** By vcpu: userspace may have written CTL since the reset, which leaves no record. */
    const writable: boolean[] = [];

    function clear(vcpu: number): void {
      for (let timer = 0; timer < contextCount; timer++) resets.clear(vcpu * contextCount + timer);
    }

    /**
     * From 5.1 on the reset of a vcpu that has run reports level 0 of both timers, whatever they were at.
     *
     * @returns false if it has not
     */
    function reported(event: TimerEvent, timer: number): boolean {
      const reset = resets.get(event.vcpu * contextCount + timer);
      const vcpu = machine.vcpu(event.vcpu);
      const state = vcpu.contexts[timer] as TimerContext;
      // What is not known to be whose may have been this one's.
      // One that only its reports show has made them.
      if (
        reset === undefined ||
        reset.certainty !== Certainty.recorded ||
        vcpu.enabled !== yes ||
        state.level === unknown ||
        vcpu.unseen
      )
        return true;
      if (state.update.serial > reset.serial) return true;
      context.violate(event, {
        message: 'not-lowered',
        data: { timer: timerText(timer), vcpu: vcpuName(machine, event.vcpu) },
        witness: [reset],
      });
      return false;
    }

    function lowered(event: TimerEvent): void {
      if (event.vcpu < 0 || event.certainty !== Certainty.recorded) return;
      // A reset that reports nothing is one fault.
      if (reported(event, Timer.vtimer)) reported(event, Timer.ptimer);
    }

    /** What the hardware gets next shows whether the reset was kept. */
    function restored(event: TimerEvent, timer: number): void {
      const key = event.vcpu * contextCount + timer;
      const reset = resets.get(key);
      if (reset === undefined) return;
      if ((event.ctl & writableCtl) === 0) context.hold(event);
      else if (machine.vcpu(event.vcpu).unseen) context.undecided(event, because.blind);
      else if (writable[event.vcpu] === true && !context.records(Kind.user_write))
        context.undecided(event, because.userspace);
      else
        context.violate(event, {
          message: 'ctl-survives',
          data: { timer: timerText(timer), vcpu: vcpuName(machine, event.vcpu), ctl: ctlText(event.ctl) },
          witness: [reset, machine.vcpu(event.vcpu).contexts[timer]?.save ?? reset],
          distrustRegisters: timer,
        });
      resets.clear(key);
    }

    return {
      before: {
        reset(event) {
          if (event.vcpu < 0 || event.attribution >= Certainty.approximate)
            return context.undecided(event, because.unattributed);
          for (let timer = 0; timer < contextCount; timer++) resets.set(event.vcpu * contextCount + timer, event);
          // KVM_ARM_VCPU_INIT resets from userspace, which may set registers before the run; a PSCI CPU_ON resets
          // inside KVM_RUN.
          const vcpu = machine.vcpu(event.vcpu);
          const exited = vcpu.last[Kind.exit].serial;
          const isRecorded = event.certainty === Certainty.recorded;
          const since = vcpu.last[Kind.userspace_exit].serial;
          const insideRun =
            (isRecorded && vcpu.cpu >= 0) ||
            (exited > since && (isRecorded || context.records(Kind.userspace_exit)) && exited > 0);
          writable[event.vcpu] = !insideRun;
          const { level, loaded } = vcpu.contexts[Timer.vtimer] as TimerContext;
          // A put of its own begins the reset since e761a927bc9a: it is not over with that.
          const isCurrent = evaluates || (model.id === 'rfc-load-put' && loaded === no);
          if (isCurrent && level === yes && vcpu.enabled === yes && !vcpu.unseen) high.set(event.vcpu, event);
        },
        load: isTraced ? when(resets.occasion, lowered) : when(high.occasion, over),
        schedule: when(high.occasion, over),
        userspace_exit: when(resets.occasion, (event) => {
          if (event.vcpu >= 0) writable[event.vcpu] = true;
        }),
        user_write(event) {
          if (event.vcpu >= 0 && event.timer >= 0 && event.register === Register.ctl)
            resets.clear(event.vcpu * contextCount + event.timer);
        },
        restore: when(resets.occasion, (event) => {
          if (event.vcpu >= 0 && event.timer >= 0 && event.ctl >= 0) restored(event, event.timer);
        }),
        flush: when(resets.occasion, (event) => {
          over(event);
          if (event.vcpu >= 0 && event.ctl >= 0 && context.model.id === 'world-switch') restored(event, Timer.vtimer);
        }),
        set_active(event) {
          if (!resetsVgic || event.vcpu < 0 || event.level !== 1 || event.context === Context.hardirq) return;
          const timer = event.timer >= 0 ? event.timer : Timer.vtimer;
          const reset = resets.get(event.vcpu * contextCount + timer);
          // From userspace the vgic's state may have been restored as well, as for a migration.
          if (reset === undefined || writable[event.vcpu] === true) return;
          const vcpu = machine.vcpu(event.vcpu);
          // A GICv5 guest has its interrupts active whenever it is loaded.
          if (isGicv5Ppi(vcpu.contexts[timer]?.update.irq ?? -1)) return;
          if (vcpu.contexts[timer]?.level !== no || event.serial < vcpu.last[Kind.load].serial) return;
          context.violate(event, {
            message: 'active-survives',
            data: { timer: timerText(timer), vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
            witness: [reset, vcpu.last[Kind.load]],
          });
        },
        update_irq: when(resets.occasion, (event) => {
          if (event.vcpu < 0 || event.timer < 0) return;
          if (event.timer === Timer.vtimer && event.level === 0) high.clear(event.vcpu);
          const reset = resets.get(event.vcpu * contextCount + event.timer);
          if (reset === undefined) return;
          if (event.level === 0) return context.hold(event);
          if (writable[event.vcpu] === true && !context.records(Kind.user_write))
            return context.undecided(event, because.userspace);
          if (!context.records(Kind.entry)) return context.undecided(event, 'entries are not recorded');
          if (machine.vcpu(event.vcpu).unseen) return context.undecided(event, because.blind);
          context.violate(event, {
            message: 'level-raised',
            data: { timer: timerText(event.timer), vcpu: vcpuName(machine, event.vcpu) },
            witness: [reset],
          });
          resets.clear(event.vcpu * contextCount + event.timer);
        }),
        entry: when(resets.occasion, (event) => {
          if (event.vcpu >= 0) clear(event.vcpu);
        }),
        lost() {
          high.each((_, vcpu) => high.clear(vcpu));
          resets.each((reset, key) => {
            context.undecided(reset, because.initial);
            resets.clear(key);
          });
        },
      },
    };
  },
});
