import { accessClasses, Context, canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, no, type TimerContext, unknown } from '../machine/state.js';
import { because } from './context.js';
import { Occasion, when } from './occasion.js';
import { defineRule } from './rule.js';
import { ctlText, everyModel, Slots, timerText, undecideContexts, vcpuName } from './support.js';

export default defineRule({
  id: 'level-true-only-if-can-fire',
  statement: 'The level is raised only for a timer that is enabled and not masked.',
  why: 'A guest that masked its timer must not be interrupted by it.',
  models: everyModel('error'),
  needs: ['update_irq', 'entry', ['save', 'restore', 'sync']],
  source: 'kvm_timer_irq_can_fire, kvm_timer_should_fire; specification §4.5',
  messages: {
    'cannot-fire': {
      headline: 'the {timer} of {vcpu} raises its interrupt although CTL {ctl} does not let it fire',
      given: 'the {where} shows CTL {ctl}, which is disabled or masked, and the guest did not run in between',
      must: 'the level stays low',
      but: 'kvm_timer_update_irq reported level 1',
      therefore: 'the guest gets an interrupt that it has switched off',
    },
  },
  examples: {
    legal: [
      {
        title: 'the sync has found the timer expired',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval,irq,level\nload,0,0\nflush,0,0,1,0x1000,,0\nentry,0,0\nexit,0,0\nsync,0,0,5,0x1000,,0\nupdate_irq,0,0,,,27,1\n',
      },
      {
        title: 'expired while put: the level rises in the load, before the restore',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,1\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nsave,0,0,vtimer,5,0x1000\nload,0,0\nupdate_irq,0,0,,,,27,1\nrestore,0,0,vtimer,5,0x1000\n',
      },
    ],
    violating: [
      {
        title: 'the sync has found the timer masked',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval,irq,level\nload,0,0\nflush,0,0,1,0x1000,,0\nentry,0,0\nexit,0,0\nsync,0,0,7,0x1000,,0\nupdate_irq,0,0,,,27,1\n',
        message: 'cannot-fire',
        line: 7,
      },
      {
        title: 'raised right after a masked timer was restored',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nrestore,0,0,vtimer,3,0x1000\nupdate_irq,0,0,,,,27,1\n',
        message: 'cannot-fire',
        line: 4,
      },
      {
        title: 'raised in the load of a masked timer',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nrestore,0,0,vtimer,3,0x1000\nput,0,0\nsave,0,0,vtimer,3,0x1000\nload,0,0\nupdate_irq,0,0,,,,27,1\nrestore,0,0,vtimer,3,0x1000\n',
        message: 'cannot-fire',
        line: 7,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    /** Levels that wait for the next save or restore to show CTL, by vcpu and context. */
    const waiting = new Occasion();
    const beforeRestore = new Slots(waiting);
    const beforeSave = new Slots(waiting);

    function judge(level: TimerEvent, ctl: number, shown: TimerEvent, where: string, event: TimerEvent): void {
      if (canFire(ctl)) return context.hold(level);
      context.violate(event, {
        message: 'cannot-fire',
        data: { timer: timerText(level.timer), vcpu: vcpuName(machine, level.vcpu), ctl: ctlText(ctl), where },
        witness: [shown],
        at: level,
      });
    }

    /** Up to 4.14 the level is computed from the memory copy, always. */
    function fromMemory(event: TimerEvent, state: TimerContext): void {
      if (event.timer !== Timer.vtimer) return context.undecided(event, because.emulated);
      if (machine.vcpu(event.vcpu).unseen) return context.undecided(event, because.blind);
      if (!state.saveValid || state.ctl < 0)
        return context.undecided(event, state.save.serial > 0 ? because.initial : because.noRegisters);
      if (state.writable !== no && !context.records(Kind.user_write))
        return context.undecided(event, because.userspace);
      judge(event, state.ctl, state.save, 'memory copy', event);
    }

    function drop(vcpu: number, reason: string): void {
      undecideContexts(context, beforeRestore, vcpu, reason);
      undecideContexts(context, beforeSave, vcpu, reason);
    }

    return {
      before: {
        update_irq(event) {
          if (event.level !== 1) return;
          if (event.vcpu < 0 || event.timer < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          const state = vcpu.contexts[event.timer] as TimerContext;
          if (context.model.id === 'world-switch') return fromMemory(event, state);
          if (vcpu.isEmulated(event.timer)) return context.undecided(event, because.emulated);
          // 4.15 judges what userspace has written into memory while the hardware holds another timer.
          if (context.model.id === 'load-put-4.15' && vcpu.last[Kind.user_write].serial > vcpu.last[Kind.load].serial)
            return context.undecided(event, because.userspace);
          const key = event.vcpu * contextCount + event.timer;
          // Where kvm_timer_update_irq is probed, the RFC's handler shows the CTL that it has just read.
          if (context.model.id === 'rfc-load-put' && event.ctl >= 0)
            return judge(event, event.ctl, machine.cpu(event.cpu).last[Kind.vtimer_irq], 'handler', event);
          if (state.loaded === no) {
            // A callback of a soft timer is not part of the load that will show the memory copy.
            if (event.context === Context.hardirq) return context.undecided(event, because.initial);
            beforeRestore.set(key, event);
          } else if (state.loaded === unknown) context.undecided(event, because.initial);
          else if (state.enteredSinceRestore === no && state.restoredCtl >= 0)
            judge(event, state.restoredCtl, state.restore, 'restore', event);
          else beforeSave.set(key, event);
        },
        restore: when(waiting, (event) => {
          if (event.vcpu < 0 || event.timer < 0) return;
          const level = beforeRestore.take(event.vcpu * contextCount + event.timer);
          if (level === undefined || event.ctl < 0) return;
          // The level was computed from the memory copy: as the model has it where nothing else may have written, else
          // what the restore shows. (A restore that differs from the save is restore-equals-last-save's matter.)
          const state = machine.vcpu(event.vcpu).contexts[event.timer] as TimerContext;
          const trapped = accessClasses.includes(machine.vcpu(event.vcpu).exitClass);
          if (state.ctl >= 0 && state.writable === no && !trapped)
            judge(level, state.ctl, state.save, 'memory copy', event);
          else judge(level, event.ctl, event, 'restore', event);
        }),
        save: when(waiting, (event) => {
          if (event.vcpu < 0 || event.timer < 0) return;
          const level = beforeSave.take(event.vcpu * contextCount + event.timer);
          if (level !== undefined && event.ctl >= 0) judge(level, event.ctl, event, 'save', event);
        }),
        entry: when(waiting, (event) => {
          if (event.vcpu >= 0) drop(event.vcpu, because.entered);
        }),
        lost() {
          for (const vcpu of machine.vcpus) drop(vcpu.index, because.initial);
        },
      },
      end() {
        for (const vcpu of machine.vcpus) drop(vcpu.index, because.ends);
      },
    };
  },
});
