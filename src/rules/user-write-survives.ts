import { Certainty, Register, Timer, type TimerEvent, writableCtl } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { formatU64 } from '../events/u64.js';
import { contextCount } from '../machine/state.js';
import { because } from './context.js';
import { Occasion, when } from './occasion.js';
import { levelAfterUserWrite } from './parts/level-after-user-write.js';
import { defineRule } from './rule.js';
import { ctlText, cvalText, everyModel, Slots, timerText, vcpuName } from './support.js';

/** A vcpu that has run, stopped with a timer that can fire. */
const stopped =
  'event,vcpu,cpu,timer,ctl,cval,register,value,level\nload,0,0\nrestore,0,0,vtimer,1,0x90000000\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,1,0x90000000\nuserspace_exit,0,0\n';

export default defineRule({
  id: 'user-write-survives',
  statement:
    'What userspace writes to CTL or CVAL is what the next restore (up to 4.14 the next flush) gives to the guest. Up to 5.0 the write itself makes the level follow the registers and the counter as they are then.',
  why: 'Migration sets the timer of a stopped guest this way: a lost write is a guest whose clock stands still at the target.',
  models: everyModel('error'),
  needs: ['user_write', ['restore', 'flush']],
  source:
    'kvm_arm_timer_set_reg; RFC weak point W4; "Avoid vcpu_load for other vcpu ioctls than KVM_RUN" (4.17); specification §4.2',
  messages: {
    lost: {
      headline: 'userspace wrote {register} {written} to the {timer} of {vcpu}, but {restored} is restored',
      given: 'userspace wrote {register} {written}, and the guest has not run since',
      must: 'the next restore writes {written}',
      but: 'it wrote {restored}',
      therefore: 'the write is lost: the registers of the loaded vcpu were saved over it',
    },
    unreported: {
      headline: 'userspace writes a register of the {timer} of {vcpu}, and no level is reported',
      given: '{vcpu} had run before and was not loaded, and userspace wrote a register of its {timer}',
      must: 'the write reports the level, whatever it was',
      but: 'nothing was reported',
      therefore: 'the vgic keeps a level that belongs to other registers',
    },
    'level-stays': {
      headline: 'userspace disables or masks the {timer} of {vcpu}, and its level stays high',
      given: 'the level of the {timer} of {vcpu} was high, and userspace wrote a CTL with which it cannot fire',
      must: 'the write lowers the level',
      but: 'the level was still high when it was over',
      therefore: 'the guest gets an interrupt of a timer that is off',
    },
    'count-ignored': {
      headline: 'userspace sets the counter of {vcpu}, and the level of its {timer} is that of another count',
      given: 'the {timer} of {vcpu} can fire, and userspace set the counter to one side of its deadline',
      must: 'the level is high from the deadline on, and low before',
      but: 'it was the other one when the write was over',
      therefore: 'the offset was not changed, or too late for the level',
    },
  },
  examples: {
    legal: [
      {
        title: 'written in an ioctl that loads the vcpu: the hardware holds nothing then',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,register,value\nload,0,0\nuser_write,0,0,vtimer,,,cval,0x5000\nput,0,0\nload,0,0\nflush,0,0,,1,0x5000\nentry,0,0\n',
      },
      {
        title: 'written while the vcpu is out',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,register,value\nuser_write,0,0,vtimer,,,cval,0x5000\nload,0,0\nrestore,0,0,vtimer,1,0x5000\n',
      },
    ],
    violating: [
      {
        title: 'from 4.16 on every write reports the level',
        model: 'load-put-5.0',
        trace: `${stopped}user_write,0,0,vtimer,,,ctl,1,\nload,0,0\n`,
        message: 'unreported',
        line: 9,
      },
      {
        title: 'disabled by userspace, and the level is not lowered',
        model: 'load-put-4.16',
        trace: `${stopped}user_write,0,0,vtimer,,,ctl,0,\nupdate_irq,0,0,vtimer,,,,,1\nload,0,0\n`,
        message: 'level-stays',
        line: 9,
      },
      {
        title: 'the counter is set behind the deadline, and the level compares the old one',
        model: 'load-put-4.16',
        trace: `${stopped}user_write,0,0,vtimer,,,cnt,0x100000000,\nupdate_irq,0,0,vtimer,,,,,0\nload,0,0\n`,
        message: 'count-ignored',
        line: 9,
      },
      {
        title: 'the flush finds another deadline than the one written',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,register,value\nload,0,0\nuser_write,0,0,vtimer,,,cval,0x5000\nput,0,0\nload,0,0\nflush,0,0,,1,0x9000\nentry,0,0\n',
        message: 'lost',
        line: 6,
      },
      {
        title: 'written while loaded: the put of the same ioctl saves over it (W4)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,register,value\nload,0,0\nuser_write,0,0,vtimer,,,cval,0x5000\nput,0,0\nsave,0,0,vtimer,1,0x9000\nload,0,0\nrestore,0,0,vtimer,1,0x9000\n',
        message: 'lost',
        line: 7,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    const level = context.model.recordsSaveRestore ? undefined : levelAfterUserWrite(context);
    const written = new Occasion();
    const ctlWrites = new Slots(written);
    const cvalWrites = new Slots(written);

    function judge(
      event: TimerEvent,
      write: TimerEvent | undefined,
      same: boolean,
      written: string,
      restored: string,
    ): void {
      if (write === undefined) return;
      if (same) return context.hold(event);
      const entry = machine.vcpu(event.vcpu).last[Kind.entry];
      if (entry.serial > write.serial) return context.undecided(event, because.entered);
      context.violate(event, {
        message: 'lost',
        data: {
          register: write.register === Register.ctl ? 'CTL' : 'CVAL',
          written,
          restored,
          timer: timerText(write.timer),
          vcpu: vcpuName(machine, event.vcpu),
        },
        witness: [write, machine.vcpu(event.vcpu).contexts[write.timer]?.save ?? event],
        distrustRegisters: write.timer,
      });
    }

    /** What the hardware gets next shows whether the writes have survived. */
    function restored(event: TimerEvent, timer: number): void {
      const key = event.vcpu * contextCount + timer;
      const ctl = ctlWrites.get(key);
      if (ctl !== undefined) {
        const same = (ctl.valueLo & writableCtl) === (event.ctl & writableCtl);
        judge(event, ctl, same, formatU64(ctl.valueHi, ctl.valueLo), ctlText(event.ctl));
      }
      const cval = cvalWrites.get(key);
      if (cval !== undefined) {
        const same = cval.valueHi === event.cvalHi && cval.valueLo === event.cvalLo;
        judge(event, cval, same, formatU64(cval.valueHi, cval.valueLo), cvalText(event));
      }
      ctlWrites.clear(key);
      cvalWrites.clear(key);
    }

    return {
      before: {
        user_write(event) {
          level?.written(event);
          if (event.vcpu < 0 || event.timer < 0) return context.undecided(event, because.unattributed);
          const writes =
            event.register === Register.ctl ? ctlWrites : event.register === Register.cval ? cvalWrites : undefined;
          const key = event.vcpu * contextCount + event.timer;
          // A probe without arguments does not say for which vcpu, or what was written.
          if (event.attribution < Certainty.approximate && event.hasValue) writes?.set(key, event);
          else {
            writes?.clear(key);
            context.undecided(event, because.unattributed);
          }
        },
        reset(event) {
          level?.over.handler(event);
          if (event.vcpu < 0) return;
          for (let timer = 0; timer < contextCount; timer++) ctlWrites.clear(event.vcpu * contextCount + timer);
        },
        ...(level !== undefined && {
          update_irq: level.reported,
          load: level.over,
          put: level.over,
          enable: level.over,
          userspace_exit: level.over,
          entry: level.over,
        }),
        lost() {
          level?.lost();
          ctlWrites.each((write) => context.undecided(write, because.initial));
          cvalWrites.each((write) => context.undecided(write, because.initial));
          ctlWrites.each((_, key) => ctlWrites.clear(key));
          cvalWrites.each((_, key) => cvalWrites.clear(key));
        },
        restore: when(written, (event) => {
          if (event.vcpu >= 0 && event.timer >= 0 && event.hasCval) restored(event, event.timer);
        }),
        flush: when(written, (event) => {
          if (event.vcpu >= 0 && event.hasCval && context.model.id === 'world-switch') restored(event, Timer.vtimer);
        }),
      },
    };
  },
});
