import { Certainty, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import {
  hardwareOf,
  type Known,
  no,
  nowhere,
  somewhere,
  type TimerContext,
  twinOf,
  unknown,
  yes,
} from '../machine/state.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { savedByPut } from './parts/saved-by-put.js';
import { defineRule } from './rule.js';
import { everyModelSinceRfc, Slots, timerText, vcpuName } from './support.js';

/** The virtual timers first: a put that skips its saves is reported for the one that every guest uses. */
const inOrder = [Timer.vtimer, Timer.hvtimer, Timer.ptimer, Timer.hptimer];

/** Up to 5.0, where the load after a put finds the timer so. */
const reloaded = (loaded: number) =>
  `event,vcpu,cpu,timer,loaded\nenable,0,0\nload,0,0\nrestore,0,0,vtimer\nentry,0,0\nexit,0,0\nput,0,0\ntimer_put,0,0,,1\nsave,0,0,vtimer\nload,0,0\ntimer_load,0,0,,${loaded}\n`;

export default defineRule({
  id: 'loaded-owns-cntv-ctl',
  statement:
    "While a vcpu is loaded on a CPU, that CPU's CNTV registers (and CNTP where direct) hold its timer; from its save to the next restore their CTL is 0.",
  why: "A register that still belongs to one vcpu when another's is restored is lost to the first and fires for the second.",
  models: everyModelSinceRfc('error'),
  needs: ['restore', 'save'],
  source: 'timer_save_state and timer_restore_state, field `loaded` (RFC hunk of arch_timer.c); specification §4.1',
  messages: {
    'map-without-save': {
      headline: 'the {timer} of {vcpu} is restored on CPU {cpu} into the registers that its {twin} holds',
      given: 'the {twin} of {vcpu} was restored there, and not saved',
      must: 'it is saved before the {timer} takes the same registers',
      but: 'the {timer} was restored',
      therefore: 'what the guest had programmed into its {twin} is lost',
    },
    'restore-over-another': {
      headline: 'the {timer} of {vcpu} is restored on CPU {cpu} over that of {other}, which was not saved',
      given: 'the {timer} of {other} was restored on CPU {cpu} and not saved since',
      must: 'the registers belong to nobody when a timer is restored',
      but: 'the {timer} of {vcpu} was restored there',
      therefore: 'the timer of {other} is lost: its next save finds the registers of {vcpu}',
    },
    'save-of-anothers': {
      headline: 'the {timer} of {vcpu} is saved on CPU {cpu} from registers that hold that of {other}',
      given: 'the {timer} of {other} was the last to be restored on CPU {cpu}',
      must: 'a save reads the registers of its own vcpu',
      but: 'the save was that of {vcpu}',
      therefore: '{vcpu} continues with the deadline of {other}',
    },
    'put-without-save': {
      headline: '{vcpu} is put on CPU {cpu} without a save of its {timer}',
      given: 'the {timer} of {vcpu} was restored on CPU {cpu}',
      must: 'the put saves it and clears CTL',
      but: 'the put came to its end without a save',
      therefore:
        'the timer of {vcpu} keeps running on CPU {cpu}, and its next load restores an old copy, or nothing where it still counts as loaded',
    },
    'blocked-loaded': {
      headline: '{vcpu} is put on CPU {cpu} with its vtimer still loaded, although it is about to sleep',
      given: '{vcpu} was in kvm_timer_schedule, and was not loaded again since',
      must: 'schedule saves the vtimer: the deadline of the background timer comes from that copy',
      but: 'the put found the vtimer loaded',
      therefore: 'the background timer was armed for a deadline that the guest has replaced',
    },
    'blocked-unsaved': {
      headline: '{vcpu} goes through kvm_timer_schedule on CPU {cpu} without a save of its vtimer',
      given: 'the vtimer of {vcpu} was loaded when kvm_timer_schedule was called, up to 5.0',
      must: 'schedule saves it, whether it goes on to arm the background timer or not',
      but: 'no save came before kvm_timer_unschedule',
      therefore: 'whether the vcpu may sleep was decided by a copy that the guest has replaced',
    },
    'entered-unloaded': {
      headline: '{vcpu} is put on CPU {cpu} with its vtimer not loaded, although it has run there',
      given: '{vcpu} was in the guest on CPU {cpu} after its last load or kvm_timer_unschedule',
      must: 'load and unschedule restore the vtimer',
      but: 'the put found it not loaded',
      therefore: 'the guest ran without its timer, and what it programmed is lost',
    },
  },
  examples: {
    legal: [
      {
        title: 'the load after the put finds the timer not loaded',
        model: 'load-put-4.16',
        trace: reloaded(0),
      },
      {
        title: 'the map of a hypervisor in the guest turns between a put and a load',
        model: 'offset',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,dv,dp,ev,ep\nload,0,0\ntimer_map,0,0,,,,2,3,1,0\nrestore,0,0,hvtimer,1,0x1000\nrestore,0,0,hptimer,0,0\nput,0,0\nsave,0,0,hvtimer,1,0x1000\nsave,0,0,hptimer,0,0\nload,0,0\ntimer_map,0,0,,,,1,0,2,3\nrestore,0,0,vtimer,1,0x2000\nrestore,0,0,ptimer,0,0\n',
      },
      {
        title: 'saved before the other vcpu is restored',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nsave,0,0,vtimer,1,0x1000\nload,1,0\nrestore,1,0,vtimer,1,0x2000\n',
      },
      {
        title: 'saved when blocking, so that the put has nothing left to save',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nschedule,0,0\nsave,0,0,vtimer,1,0x1000\nput,0,0\nload,1,0\nrestore,1,0,vtimer,1,0x2000\n',
      },
    ],
    violating: [
      {
        title: 'schedule finds the timer expired in its old copy, and returns before the save',
        model: 'load-put-4.15',
        trace:
          'event,vcpu,cpu,timer\nload,0,0\nrestore,0,0,vtimer\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer\nload,0,0\nrestore,0,0,vtimer\nentry,0,0\nexit,0,0\nschedule,0,0\nunschedule,0,0\n',
        message: 'blocked-unsaved',
        line: 12,
      },
      {
        title: 'schedule does not save',
        model: 'load-put-4.16',
        trace:
          'event,vcpu,cpu,timer,loaded\nload,0,0\nrestore,0,0,vtimer\nentry,0,0\nexit,0,0\nschedule,0,0\nput,0,0\ntimer_put,0,0,,1\nsave,0,0,vtimer\n',
        message: 'blocked-loaded',
        line: 8,
      },
      {
        title: 'unschedule does not restore',
        model: 'load-put-4.15',
        trace:
          'event,vcpu,cpu,timer,loaded\nload,0,0\nrestore,0,0,vtimer\nentry,0,0\nexit,0,0\nschedule,0,0\nsave,0,0,vtimer\nunschedule,0,0\nentry,0,0\nexit,0,0\nput,0,0\ntimer_put,0,0,,0\n',
        message: 'entered-unloaded',
        line: 12,
      },
      {
        title: 'the load after the put finds the timer loaded still',
        model: 'load-put-4.16',
        trace: reloaded(1),
        message: 'put-without-save',
        line: 7,
      },
      {
        title: 'the map turns without a save',
        model: 'offset',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,dv,dp,ev,ep\nload,0,0\ntimer_map,0,0,,,,2,3,1,0\nrestore,0,0,hvtimer,1,0x1000\nentry,0,0\nexit,0,0\ntimer_map,0,0,,,,1,0,2,3\nrestore,0,0,vtimer,1,0x2000\n',
        message: 'map-without-save',
        line: 8,
      },
      {
        title: 'the put of vcpu 0 saves nothing',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nload,1,0\nrestore,1,0,vtimer,1,0x2000\n',
        message: 'put-without-save',
        line: 4,
      },
      {
        title: 'vcpu 1 is restored over vcpu 0',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nrestore,1,0,vtimer,1,0x2000\n',
        message: 'restore-over-another',
        line: 4,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    /** Up to 5.0, where put_end does not tell. */
    const puts = context.model.recordsSaveRestore ? undefined : savedByPut(context);

    function register(event: TimerEvent, mine: boolean, message: string): void {
      if (event.vcpu < 0 || event.timer < 0) return context.undecided(event, because.unattributed);
      const owner = machine.cpu(event.cpu).owner[hardwareOf(event.timer)] as number;
      if (owner === somewhere) return context.undecided(event, because.initial);
      if (owner === event.vcpu || owner === nowhere) {
        const twin = machine.vcpu(event.vcpu).contexts[twinOf(event.timer)] as TimerContext;
        if (owner === event.vcpu && !mine && twin.loaded === yes)
          return context.violate(event, {
            message: 'map-without-save',
            data: {
              timer: timerText(event.timer),
              vcpu: vcpuName(machine, event.vcpu),
              twin: timerText(twinOf(event.timer)),
              cpu: event.cpu,
            },
            witness: [twin.restore],
            distrustRegisters: twinOf(event.timer),
          });
        // Saving what is not loaded, restoring what is: save-requires-restore judges that.
        // What the model has implied its record only confirms.
        const { implied } = machine.vcpu(event.vcpu).contexts[event.timer] as TimerContext;
        if ((owner === event.vcpu) === mine || implied) context.hold(event);
        return;
      }
      const other = machine.vcpu(owner);
      context.violate(event, {
        message,
        data: {
          timer: timerText(event.timer),
          vcpu: vcpuName(machine, event.vcpu),
          other: vcpuName(machine, owner),
          cpu: event.cpu,
        },
        witness: [(other.contexts[event.timer] as TimerContext).restore],
        ofCpu: true,
        distrustOwnership: true,
      });
    }

    /** By vcpu: a schedule that came to a vtimer in the hardware, until its save. */
    const schedules = new Slots();

    function unsaved(event: TimerEvent): void {
      const schedule = event.vcpu < 0 ? undefined : schedules.take(event.vcpu);
      if (schedule === undefined || !context.records(Kind.save) || !context.records(Kind.restore)) return;
      const { last, unseen } = machine.vcpu(event.vcpu);
      // A put saves it as well, and a load takes it back.
      if (unseen || Math.max(last[Kind.put].serial, last[Kind.load].serial) > schedule.serial) return;
      context.violate(event, {
        message: 'blocked-unsaved',
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
        witness: [last[Kind.entry], event],
        at: schedule,
      });
    }

    /** By vcpu: whether its last put came to a vtimer that was loaded. */
    const atPut: Known[] = [];

    /** Up to 5.0 a probe of the put tells the field `loaded` itself. */
    function flag(event: TimerEvent): void {
      const { last, enabled, blocked } = machine.vcpu(event.vcpu);
      const expected = atPut[event.vcpu] ?? unknown;
      atPut[event.vcpu] = unknown;
      if (event.loaded < 0 || expected === unknown || enabled !== yes) return;
      if ((event.loaded === 1) === (expected === yes)) return context.hold(event);
      // What blocking does is known where its hooks are recorded.
      const isBlocked = event.loaded === 1;
      const since = Math.max(last[Kind.load].serial, last[Kind.unschedule].serial);
      const hook = isBlocked ? last[Kind.schedule] : last[Kind.entry];
      if (hook.serial <= since || (isBlocked && blocked !== yes)) return;
      context.violate(event, {
        message: isBlocked ? 'blocked-loaded' : 'entered-unloaded',
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
        witness: [last[Kind.load], hook],
        distrustRegisters: Timer.vtimer,
      });
    }

    return {
      before: {
        put(event) {
          if (event.vcpu >= 0) atPut[event.vcpu] = machine.vcpu(event.vcpu).vtimer.loaded;
        },
        timer_put(event) {
          if (event.vcpu < 0) return;
          flag(event);
          puts?.timerPut(event);
        },
        timer_load(event) {
          if (event.vcpu >= 0) puts?.timerLoad(event);
        },
        schedule(event) {
          if (event.vcpu < 0 || context.model.recordsSaveRestore || event.certainty !== Certainty.recorded) return;
          const { vtimer, enabled } = machine.vcpu(event.vcpu);
          if (enabled === yes && vtimer.loaded === yes && !vtimer.implied) schedules.set(event.vcpu, event);
        },
        unschedule: when(schedules.occasion, unsaved),
        lost() {
          schedules.each((_, vcpu) => schedules.clear(vcpu));
          atPut.fill(unknown);
          puts?.lost();
        },
        restore: (event) => register(event, false, 'restore-over-another'),
        save(event) {
          if (event.vcpu >= 0 && event.timer === Timer.vtimer) {
            schedules.clear(event.vcpu);
            puts?.saved(event);
          }
          register(event, true, 'save-of-anothers');
        },
        put_end(event) {
          if (!context.model.recordsSaveRestore || !context.records(Kind.save)) return;
          const vcpu = machine.vcpu(event.vcpu);
          const put = vcpu.last[Kind.put];
          for (const timer of inOrder) {
            const state = vcpu.contexts[timer] as TimerContext;
            if (state.loaded === no && state.save.serial > put.serial) context.hold(event);
            if (state.loaded !== yes || machine.cpu(event.cpu).owner[hardwareOf(timer)] !== vcpu.index) continue;
            context.violate(event, {
              message: 'put-without-save',
              data: { timer: timerText(timer), vcpu: vcpuName(machine, vcpu.index), cpu: event.cpu },
              witness: [state.restore],
              at: put.serial > 0 ? put : event,
              distrustOwnership: true,
            });
            // One put that skips its saves is one violation.
            return;
          }
        },
      },
    };
  },
});
