import { Context, Ctl, canFire, Timer, type TimerEvent, writableCtl } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, type TimerContext, unknown, yes } from '../machine/state.js';
import { because } from './context.js';
import { Marks, when } from './occasion.js';
import { defineRule } from './rule.js';
import { ctlText, cvalText, everyModelSinceRfc, timerText, vcpuName } from './support.js';

/** The models whose restore and save of a physical timer shift CVAL by the offset of the counter. */
const shiftingModels = ['offset', 'stateless-level'] as const;

const isPhysical = (timer: number) => timer === Timer.ptimer || timer === Timer.hptimer;

export default defineRule({
  id: 'save-without-entry-equals-restore',
  statement:
    'A save with no entry of the vcpu since its restore carries the restored CVAL and CTL; ISTATUS may have been set meanwhile. One with no entry since its interrupt finds the timer as the handler has, able to fire.',
  why: 'Nobody but the guest writes the registers between restore and save: another value was never theirs.',
  models: everyModelSinceRfc('error'),
  needs: ['save', 'restore', 'entry'],
  source: 'timer_save_state and timer_restore_state; specification §4.8 point 11',
  messages: {
    'cval-changed': {
      headline:
        'the {timer} of {vcpu} is saved with CVAL {saved}, but {restored} was restored and the guest did not run',
      given: 'CVAL {restored} was restored, and the vcpu was not entered since',
      must: 'the save finds CVAL {restored}',
      but: 'it found {saved}',
      therefore: 'the restore did not reach the hardware, or something else wrote the register',
    },
    'ctl-changed': {
      headline:
        'the {timer} of {vcpu} is saved with CTL {saved}, but {restored} was restored and the guest did not run',
      given: 'CTL {restored} was restored, and the vcpu was not entered since',
      must: 'the save finds the same ENABLE and IMASK',
      but: 'it found CTL {saved}',
      therefore: 'the restore did not reach the hardware, or something else wrote the register',
    },
    'ctl-after-interrupt': {
      headline:
        'the {timer} of {vcpu} is saved with CTL {saved}, but its interrupt has just found that it fires and the guest did not run',
      given: 'the handler read CTL, found the timer enabled, not masked and fired, and reported level 1',
      must: 'the save finds it enabled and not masked, for the vcpu was not entered since',
      but: 'it found CTL {saved}',
      therefore: 'the save does not hold what the hardware had, or something else wrote the register',
    },
  },
  examples: {
    legal: [
      {
        title: 'the guest masks its timer after the interrupt',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,level,irq,context\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,vtimer,,,1,27,hardirq\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,5,0x1000\nload,0,0\nrestore,0,0,vtimer,5,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,7,0x1000\n',
      },
      {
        title: 'preempted before the entry; the timer expires meanwhile',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nsave,0,0,vtimer,5,0x1000\n',
      },
    ],
    violating: [
      {
        title: 'CTL 0 is saved after the interrupt',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,level,irq,context\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,vtimer,,,1,27,hardirq\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,0,0x1000\n',
        message: 'ctl-after-interrupt',
        line: 10,
      },
      {
        title: 'the load did not write CVAL',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nsave,0,0,vtimer,1,0x900\n',
        message: 'cval-changed',
        line: 5,
      },
    ],
  },
  create(context) {
    const { machine } = context;

    /**
     * Whether the handler of the timer's interrupt has read CTL since the guest ran, and nobody has written it: from 5.1
     * on it reports level 1 of a timer that the hardware shows to fire (kvm_timer_should_fire of a loaded context).
     */
    function isAfterInterrupt(event: TimerEvent, { restore, update, loaded }: TimerContext): boolean {
      if (!context.model.recordsSaveRestore || event.ctl < 0 || loaded !== yes) return false;
      if (update.context !== Context.hardirq || update.level !== 1 || update.cpu !== event.cpu) return false;
      const { last } = machine.vcpu(event.vcpu);
      const since = Math.max(restore.serial, last[Kind.entry].serial, last[Kind.trapped_access].serial);
      return since > 0 && update.serial > since;
    }

    function violateHandler(event: TimerEvent, { update }: TimerContext): void {
      context.violate(event, {
        message: 'ctl-after-interrupt',
        data: { timer: timerText(event.timer), vcpu: vcpuName(machine, event.vcpu), saved: ctlText(event.ctl) },
        witness: [update],
        distrustRegisters: event.timer,
      });
    }

    /**
     * From 6.4 on restore and save of a physical timer add and subtract the VM's offset of the physical counter, which an
     * ioctl of any vcpu that is not in KVM_RUN may change in between.
     */
    function mayHaveMoved(restore: TimerEvent): boolean {
      if (!shiftingModels.some((id) => id === context.model.id)) return false;
      return !context.records(Kind.userspace_exit) || away > 0 || returned > restore.serial;
    }

    /** Vcpus that have left for userspace, and the serial number of the record that last showed one back. */
    const outside = new Marks();
    let away = 0;
    let returned = 0;
    const back = when(outside.occasion, (event) => {
      if (event.vcpu < 0 || !outside.delete(event.vcpu)) return;
      away--;
      returned = event.serial;
    });

    return {
      before: {
        userspace_exit(event) {
          if (event.vcpu < 0 || outside.has(event.vcpu)) return;
          outside.add(event.vcpu);
          away++;
        },
        lost(event) {
          returned = event.serial;
        },
        load: back,
        entry: back,
        save(event) {
          if (event.vcpu < 0 || event.timer < Timer.ptimer) return context.undecided(event, because.unattributed);
          const state = machine.vcpu(event.vcpu).contexts[event.timer] as TimerContext;
          const isAfter = isAfterInterrupt(event, state);
          if (isAfter && !canFire(event.ctl)) return violateHandler(event, state);
          // The guest ran before the interrupt, or without one: no more is claimed.
          if (state.enteredSinceRestore === yes) return isAfter ? context.hold(event) : undefined;
          // The RFC's save and restore of a vcpu that has never run touch no register (W5).
          if (context.model.id === 'rfc-load-put' && machine.vcpu(event.vcpu).enabled !== yes)
            return context.undecided(event, because.initial);
          // A save that is out of turn is judged by save-requires-restore.
          if (state.loaded === no && !state.implied) return;
          if (!event.hasCval || event.ctl < 0) return context.undecided(event, because.noRegisters);
          if (state.enteredSinceRestore === unknown || !state.restoredCvalKnown || state.restoredCtl < 0)
            return context.undecided(event, because.initial);
          const cvalDiffers = event.cvalHi !== state.restoredCvalHi || event.cvalLo !== state.restoredCvalLo;
          const ctlDiffers = (event.ctl & writableCtl) !== (state.restoredCtl & writableCtl);
          if (!cvalDiffers && !ctlDiffers) {
            // ISTATUS is lost when userspace sets the counter back between save and restore: not decidable here.
            if ((state.restoredCtl & Ctl.istatus) !== 0 && (event.ctl & Ctl.istatus) === 0)
              return context.undecided(event, 'ISTATUS was lost: userspace may have set the counter back');
            return context.hold(event);
          }
          // The RFC loads a vcpu before it is enabled: its save shows what userspace has written to memory since.
          const written = Math.max(state.userCtl.serial, state.userCval.serial) > state.restore.serial;
          if (written && machine.vcpu(event.vcpu).enabled !== yes) return context.undecided(event, because.userspace);
          if (!ctlDiffers && isPhysical(event.timer) && mayHaveMoved(state.restore))
            return context.undecided(event, 'userspace may have moved the physical counter of the VM');
          context.violate(event, {
            message: cvalDiffers ? 'cval-changed' : 'ctl-changed',
            data: {
              timer: timerText(event.timer),
              vcpu: vcpuName(machine, event.vcpu),
              saved: cvalDiffers ? cvalText(event) : ctlText(event.ctl),
              restored: cvalDiffers ? cvalText(state.restore) : ctlText(state.restoredCtl),
            },
            witness: [state.restore],
            distrustRegisters: event.timer,
          });
        },
      },
    };
  },
});
