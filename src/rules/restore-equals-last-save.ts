import { accessClasses, Register, Timer, type TimerEvent, writableCtl } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, type TimerContext, unknown, type VcpuState, yes } from '../machine/state.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import { ctlText, cvalText, everyModel, Slots, timerText, tracedModels, valueText, vcpuName } from './support.js';

const trapped = 'a trapped access may have written the register in between';

const hypervisor = 'the hypervisor in the guest may have written the register in between, which leaves no record';

export default defineRule({
  id: 'restore-equals-last-save',
  statement:
    'The CTL and CVAL restored for a timer context are those last saved for it, unless userspace, a trapped access or a reset wrote them in between. Up to 4.14, whose saves and restores leave no record, the copy in memory stays what the sync found.',
  why: 'A guest whose deadline changes while it is not running misses its interrupt, or gets it at the wrong time.',
  models: everyModel('error'),
  needs: [
    ['save', 'sync'],
    ['restore', 'flush'],
  ],
  source:
    'timer_save_state and timer_restore_state; RFC weak point W3, fixed by 36e5cfd410ad; specification §4.2, §4.8 point 18',
  messages: {
    'ctl-clobbered-by-irq': {
      headline:
        'the {timer} of {vcpu} is restored with CTL {restored}, but {saved} was saved: an interrupt came in between',
      given: 'CTL {saved} was saved, then the handler of the timer interrupt ran on that CPU',
      must: 'the restore writes CTL {saved}',
      but: 'it wrote CTL {restored}',
      therefore:
        'the handler has overwritten the saved CTL from the stopped hardware: the timer of the guest stays off',
    },
    'stale-restore': {
      headline:
        'the {timer} of {vcpu} is restored with CVAL {restoredCval}, which is older than the last save of {savedCval}',
      given: 'CVAL {savedCval} was saved last',
      must: 'the restore writes CVAL {savedCval}',
      but: 'it wrote CVAL {restoredCval}, the value of an earlier save',
      therefore: 'the guest gets a deadline that it has replaced',
    },
    'cval-changed': {
      headline: 'the {timer} of {vcpu} is restored with CVAL {restoredCval}, but {savedCval} was saved',
      given: 'CVAL {savedCval} was saved last, and nothing that may write it was seen since',
      must: 'the restore writes CVAL {savedCval}',
      but: 'it wrote CVAL {restoredCval}',
      therefore: 'the deadline of the guest has changed behind its back',
    },
    'trapped-write-lost': {
      headline: 'a trapped write of {register} of the {timer} of {vcpu} does not reach the hardware',
      given: 'the guest wrote {register} of its {timer}, which the hardware holds, and the access trapped',
      must: 'the timer is saved, the value written, and the timer restored with it',
      but: '{found}',
      therefore: 'the guest goes on with the timer that it had before',
    },
    'memory-changed': {
      headline: 'the copy of CVAL of {vcpu} changes from {savedCval} to {restoredCval} in one trip into the guest',
      given: 'the flush found CVAL {savedCval} of the {timer} in memory',
      must: 'nothing but the sync, a save or userspace writes that copy, and the RFC leaves it to the interrupt to read CTL',
      but: 'the sync of the same trip found CVAL {restoredCval}',
      therefore: 'the registers of the guest are read where nobody has stopped it, and not where its level is judged',
    },
    'ctl-changed': {
      headline: 'the {timer} of {vcpu} is restored with CTL {restored}, but {saved} was saved',
      given: 'CTL {saved} was saved last, and nothing that may write it was seen since',
      must: 'the restore writes the same ENABLE and IMASK',
      but: 'it wrote CTL {restored}',
      therefore: 'the timer of the guest was switched or masked behind its back',
    },
  },
  examples: {
    legal: [
      {
        title: 'the flush finds what the sync has found; the guest changes it',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval\nload,0,0\nflush,0,0,0,0x0\nentry,0,0\nexit,0,0\nsync,0,0,1,0x1000\nflush,0,0,1,0x1000\nsync,0,0,1,0x1000\nflush,0,0,1,0x1000\nentry,0,0\nexit,0,0\nsync,0,0,5,0x2000\nschedule,0,0,5,0x2000\n',
      },
      {
        title: 'the saved values come back, ISTATUS included',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,5,0x1000\nload,0,1\nrestore,0,1,vtimer,5,0x1000\n',
      },
      {
        title: 'a trapped access to a direct timer saves it, writes it, and restores it',
        model: 'offset',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,ec,register,write,value,dv,dp,ev,ep\ntimer_map,0,0,,,,,,,,1,0,none,none\nload,0,0\nrestore,0,0,vtimer,0,0\nrestore,0,0,ptimer,1,0x1000\nentry,0,0\nexit,0,0,,,,SYS64\ntrapped_access,0,0,ptimer,,,,cval,1,0x2000\nsave,0,0,ptimer,1,0x1000\nrestore,0,0,ptimer,1,0x2000\nentry,0,0\n',
      },
      {
        title: 'a trapped access writes the register between save and restore',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,code,ec\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0,,,,TRAP,SYS64\nput,0,0\nsave,0,0,vtimer,5,0x1000\nload,0,0\nrestore,0,0,vtimer,1,0x2000\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,1,0x3000\nload,0,0\nrestore,0,0,vtimer,1,0x3000\n',
      },
    ],
    violating: [
      {
        title: 'the flush reads CVAL, and the sync does not',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nflush,0,0,,1,0x1000\nentry,0,0\nsync,0,0,,1,0x2000\nexit,0,0\n',
        message: 'memory-changed',
        line: 6,
      },
      {
        title: 'the deadline changes between a sync and the next flush',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval\nload,0,0\nflush,0,0,0,0x0\nentry,0,0\nexit,0,0\nsync,0,0,1,0x1000\nflush,0,0,1,0x1001\n',
        message: 'cval-changed',
        line: 7,
      },
      {
        title: 'the interrupt handler overwrites the saved CTL (W3)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nentry,0,0\nexit,0,0\nschedule,0,0\nsave,0,0,vtimer,1,0x1000\nvtimer_irq,,0\nvtimer_irq_end,,0\nunschedule,0,0\nrestore,0,0,vtimer,0,0x1000\n',
        message: 'ctl-clobbered-by-irq',
        line: 10,
      },
      {
        title: 'an older deadline comes back',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nsave,0,0,vtimer,1,0x1000\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,1,0x2000\nload,0,0\nrestore,0,0,vtimer,1,0x1000\n',
        message: 'stale-restore',
        line: 13,
      },
      {
        title: 'a trapped write to a direct timer is not restored',
        model: 'offset',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,ec,register,write,value,dv,dp,ev,ep\ntimer_map,0,0,,,,,,,,1,0,none,none\nload,0,0\nrestore,0,0,vtimer,0,0\nrestore,0,0,ptimer,1,0x1000\nentry,0,0\nexit,0,0,,,,SYS64\ntrapped_access,0,0,ptimer,,,,ctl,1,0\nentry,0,0\n',
        message: 'trapped-write-lost',
        line: 9,
      },
      {
        title: 'CVAL is one too high',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nsave,0,0,vtimer,1,0x1000\nload,0,0\nrestore,0,0,vtimer,1,0x1001\n',
        message: 'cval-changed',
        line: 7,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;

    /** Whether userspace may have written registers, which only a probe of kvm_arm_timer_set_reg would show. */
    function userspaceMayHaveWritten(vcpu: VcpuState, state: TimerContext): number {
      if (context.records(Kind.user_write)) return no;
      if (state.writable !== no || context.records(Kind.userspace_exit)) return state.writable;
      if (model.id === 'world-switch') return isShownInRun(vcpu, state) ? no : unknown;
      // Whoever was not put since has not left KVM_RUN.
      if (vcpu.last[Kind.put].serial < vcpu.last[Kind.entry].serial) return no;
      // Without kvm_userspace_exit only a put by the scheduler is known to stay inside KVM_RUN.
      const switched = vcpu.last[Kind.sched_switch].serial;
      const since = Math.max(vcpu.last[Kind.exit].serial, state.restore.serial);
      return switched > since && switched < state.save.serial ? no : unknown;
    }

    /**
     * Up to 4.14 probes show the memory copy at every put: only what came after the last of them is not seen. That one
     * itself must be the scheduler's; any other lets userspace go on.
     */
    function isShownInRun({ last }: VcpuState, { save }: TimerContext): boolean {
      if (!context.records(Kind.put) || last[Kind.put].serial >= save.serial) return false;
      if (save.kind !== Kind.timer_put) return true;
      const since = Math.max(last[Kind.load].serial, last[Kind.flush].serial, last[Kind.sync].serial);
      const switched = last[Kind.sched_switch].serial;
      return switched > Math.max(since, last[Kind.exit].serial) && switched < last[Kind.put].serial;
    }

    /** Whether the exit that is being handled may be an access to this context's registers. */
    function trapMayHaveWritten(vcpu: VcpuState, timer: number): boolean {
      // Up to 4.14 only the physical timer is trapped.
      if (model.id === 'world-switch' || !accessClasses.includes(vcpu.exitClass)) return false;
      const access = vcpu.last[Kind.trapped_access];
      if (access.serial > vcpu.last[Kind.exit].serial)
        return (access.timer === timer || access.timer === Timer.unknown) && access.write !== 0;
      // Where accesses are recorded, one without a record has not been emulated yet.
      return !context.records(Kind.trapped_access) || access.serial === 0;
    }

    function compare(event: TimerEvent, timer: number): void {
      const vcpu = machine.vcpu(event.vcpu);
      const state = vcpu.contexts[timer] as TimerContext;
      if (!state.saveValid) return context.undecided(event, because.initial);

      const { save, userCtl, userCval } = state;
      // A recorded write or reset after the save changed the memory copy, and user-write-survives or
      // reset-clears-timer judges it.
      const wasReset = vcpu.last[Kind.reset].serial > save.serial;
      const ctlWritten = userCtl.serial > save.serial || wasReset;
      // 7.3 resets CVAL with the system registers, earlier kernels keep it.
      const cvalReset = wasReset && event.cvalHi === 0 && event.cvalLo === 0;
      const cvalWritten = userCval.serial > save.serial || cvalReset;
      const ctlDiffers = !ctlWritten && (event.ctl & writableCtl) !== (save.ctl & writableCtl);
      const cvalDiffers = !cvalWritten && (event.cvalHi !== save.cvalHi || event.cvalLo !== save.cvalLo);
      if (!ctlDiffers && !cvalDiffers) return context.hold(event);

      // Its timers are emulated while that hypervisor runs, which then writes them without a trap (FEAT_NV2).
      const ofItsGuest = timer === Timer.vtimer || timer === Timer.ptimer;
      if (vcpu.isNested && ofItsGuest && vcpu.last[Kind.entry].serial > save.serial)
        return context.undecided(event, hypervisor);
      const writable = userspaceMayHaveWritten(vcpu, state);
      if (writable === yes) return context.undecided(event, because.userspace);
      if (writable === unknown) return context.undecided(event, because.initial);
      if (vcpu.unseen) return context.undecided(event, because.blind);
      if (trapMayHaveWritten(vcpu, timer)) return context.undecided(event, trapped);

      const irq = machine.cpu(save.cpu).last[Kind.vtimer_irq];
      // An interrupt of a vcpu that was loaded there meanwhile is not that vcpu's matter.
      const ownIrq = irq.serial > save.serial && (irq.vcpu === event.vcpu || irq.vcpu < 0);
      const clobbered = !cvalDiffers && (event.ctl & writableCtl) === 0 && ownIrq;
      const message = clobbered
        ? 'ctl-clobbered-by-irq'
        : !cvalDiffers
          ? 'ctl-changed'
          : state.isEarlierSave(event.cvalHi, event.cvalLo)
            ? 'stale-restore'
            : 'cval-changed';
      context.violate(event, {
        message,
        data: {
          timer: timerText(timer),
          vcpu: vcpuName(machine, event.vcpu),
          saved: ctlText(save.ctl),
          restored: ctlText(event.ctl),
          savedCval: cvalText(save),
          restoredCval: cvalText(event),
        },
        witness: clobbered ? [save, irq] : [save],
        explainedBy: ['save'],
        distrustRegisters: timer,
      });
    }

    /** By vcpu: a trapped write to a timer that the hardware holds, whose effect is still to be seen. */
    const accesses = new Slots();
    const isTraced = tracedModels.some((id) => id === model.id);

    /** The guest goes on with what the access has written. */
    function effect(event: TimerEvent): void {
      const access = event.vcpu < 0 ? undefined : accesses.take(event.vcpu);
      if (access === undefined) return;
      const { restore } = machine.vcpu(event.vcpu).contexts[access.timer] as TimerContext;
      const isRestored = restore.serial > access.serial;
      if (isRestored && isSame(access, restore)) return context.hold(access);
      const register = access.register === Register.ctl ? 'CTL' : access.register === Register.cval ? 'CVAL' : 'TVAL';
      context.violate(event, {
        message: 'trapped-write-lost',
        data: {
          timer: timerText(access.timer),
          vcpu: vcpuName(machine, event.vcpu),
          register,
          found: isRestored
            ? `${valueText(access)} was written, and CTL ${ctlText(restore.ctl)}, CVAL ${cvalText(restore)} restored`
            : 'the guest was entered without a restore',
        },
        witness: isRestored ? [access, restore] : [access],
        distrustRegisters: access.timer,
      });
    }

    function isSame(access: TimerEvent, restore: TimerEvent): boolean {
      if (!access.hasValue) return true;
      if (access.register === Register.ctl) return (access.valueLo & writableCtl) === (restore.ctl & writableCtl);
      if (access.register !== Register.cval || !restore.hasCval) return true;
      return access.valueHi === restore.cvalHi && access.valueLo === restore.cvalLo;
    }

    /** The RFC's flush is empty: what its probe has shown of the copy in memory the sync of the same trip still finds. */
    function inTrip(event: TimerEvent): void {
      if (model.id !== 'rfc-load-put' || event.vcpu < 0 || !event.hasCval) return;
      const vcpu = machine.vcpu(event.vcpu);
      const { flush, entry } = { flush: vcpu.last[Kind.flush], entry: vcpu.last[Kind.entry] };
      if (!flush.hasCval || entry.serial < flush.serial || vcpu.inGuest !== yes) return;
      if (flush.cvalHi === event.cvalHi && flush.cvalLo === event.cvalLo) return context.hold(event);
      context.violate(event, {
        message: 'memory-changed',
        data: {
          timer: timerText(Timer.vtimer),
          vcpu: vcpuName(machine, event.vcpu),
          savedCval: cvalText(flush),
          restoredCval: cvalText(event),
        },
        witness: [flush, entry],
      });
    }

    /** What a probe of up to 4.14 has read of the memory copy; after an exit it only shows what that has saved. */
    function memory(event: TimerEvent): void {
      if (model.id !== 'world-switch' || event.vcpu < 0) return;
      if (event.kind === Kind.flush && !event.hasCval) return context.undecided(event, because.noRegisters);
      if (!event.hasCval || event.ctl < 0) return;
      const { saveValid, save } = machine.vcpu(event.vcpu).contexts[Timer.vtimer] as TimerContext;
      // Where entries are not recorded the guest may have run since a flush.
      if (save.kind === Kind.flush && !context.records(Kind.entry)) return;
      if (saveValid || event.kind === Kind.flush) compare(event, Timer.vtimer);
    }

    return {
      before: {
        restore(event) {
          if (event.vcpu < 0 || event.timer < 0) return context.undecided(event, because.unattributed);
          if (!event.hasCval || event.ctl < 0) return context.undecided(event, because.noRegisters);
          compare(event, event.timer);
        },
        trapped_access(event) {
          if (!isTraced || event.vcpu < 0 || event.timer < 0 || event.write !== 1) return;
          const { directVtimer, directPtimer } = machine.vcpu(event.vcpu);
          if (event.timer === directVtimer || event.timer === directPtimer) accesses.set(event.vcpu, event);
        },
        entry: when(accesses.occasion, effect),
        // Userspace, or a hypervisor in the guest, may have written it since.
        put: when(accesses.occasion, (event) => {
          if (event.vcpu >= 0) accesses.clear(event.vcpu);
        }),
        lost: when(accesses.occasion, () => accesses.each((_, vcpu) => accesses.clear(vcpu))),
        flush: memory,
        sync(event) {
          memory(event);
          inTrip(event);
        },
        schedule: memory,
        unschedule: memory,
        timer_put: memory,
      },
    };
  },
});
