import { Ctl, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { ctlText, everyModel, shownTimer, timerText, vcpuName } from './support.js';

const validBits = Ctl.enable | Ctl.imask | Ctl.istatus;

export default defineRule({
  id: 'ctl-bits-valid',
  statement: 'A saved or restored CTL, and the copy in memory, has no bits but ENABLE, IMASK and ISTATUS.',
  why: 'The architecture reserves the others as zero: a set one is a sign of a corrupted or misread register.',
  models: everyModel('info'),
  needs: [['save', 'restore', 'flush', 'sync']],
  source: 'Arm ARM, CNTV_CTL_EL0 and CNTP_CTL_EL0; specification §1.1, §4.2',
  messages: {
    reserved: {
      headline: 'the {timer} of {vcpu} has CTL {ctl}',
      given: 'a save, a restore or a probe shows the register',
      must: 'only bits 0 to 2 are set',
      but: 'CTL is {ctl}',
      therefore: 'the value is no timer control register',
    },
  },
  examples: {
    legal: [
      {
        title: 'a probe reads the copy in memory',
        model: 'world-switch',
        trace: 'event,vcpu,cpu,ctl,cval\nflush,0,0,1,0x1000\nentry,0,0\nexit,0,0\nsync,0,0,5,0x1000\n',
      },
      {
        title: 'enabled and expired',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,timer,ctl,cval\nsave,0,0,vtimer,5,0x1000\nrestore,0,0,vtimer,5,0x1000\n',
      },
      {
        title: 'ISTATUS without ENABLE',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,timer,ctl,cval\nsave,0,0,vtimer,4,0x1000\n',
      },
    ],
    violating: [
      {
        title: 'a reserved bit is set',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,timer,ctl,cval\nsave,0,0,vtimer,0x11,0x1000\n',
        message: 'reserved',
        line: 2,
      },
    ],
  },
  create(context) {
    function judge(event: TimerEvent): void {
      if (event.ctl < 0) return context.undecided(event, because.noRegisters);
      if (event.ctl <= validBits) return context.hold(event);
      context.violate(event, {
        message: 'reserved',
        data: {
          timer: timerText(shownTimer(event)),
          vcpu: event.vcpu < 0 ? 'a vcpu' : vcpuName(context.machine, event.vcpu),
          ctl: ctlText(event.ctl),
        },
        witness: [],
      });
    }
    /** A probe shows the registers where it has been told to fetch them. */
    function memory(event: TimerEvent): void {
      if (event.ctl >= 0) judge(event);
      else if (event.kind === Kind.flush) context.undecided(event, because.noRegisters);
    }
    return { before: { save: judge, restore: judge, flush: memory, sync: memory } };
  },
});
