import { Certainty, Context, Register, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { type VcpuState, yes } from '../machine/state.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { backLegal, backMessages, backViolating, MovedAndBack } from './parts/moved-and-back.js';
import { defineRule } from './rule.js';
import { everyModel, isSameValue, isZeroValue, Slots, timerText, valueText, vcpuName } from './support.js';

const nested = 'the offset of a hypervisor inside the guest is in no record';
const unshown = 'no probed function has shown the offset of the VM';
const changed = 'userspace may have changed the offset while the vcpu was being loaded';
const workaround =
  'this vcpu was never seen with another offset: it may be protected, or the CPU may need the offset to be 0';

export default defineRule({
  id: 'cntvoff-correct-in-guest',
  statement:
    'A vcpu enters the guest with the virtual counter offset of its VM in CNTVOFF_EL2 of that CPU, written there before its timer is restored.',
  why: 'With another offset the virtual counter of the guest jumps, and every deadline that it has set is wrong.',
  models: everyModel('error'),
  needs: ['entry', 'set_cntvoff'],
  source: 'set_cntvoff in kvm_timer_vcpu_load, from 6.4 on in timer_restore_state; specification §4.3',
  messages: {
    ...backMessages,
    'not-written': {
      headline: '{vcpu} enters the guest on CPU {cpu} although nobody has written its counter offset there',
      given: '{vcpu} was put, and loaded again on CPU {cpu}',
      must: 'the load writes the offset of its VM to CNTVOFF_EL2',
      but: 'it was entered with what was there before, {found}',
      therefore: 'the virtual counter of the guest is off by the difference',
    },
    wrong: {
      headline: '{vcpu} enters the guest on CPU {cpu} with counter offset {found}, but that of its VM is {expected}',
      given: 'the offset of its VM was {expected} when {vcpu} was loaded on CPU {cpu}',
      must: 'CNTVOFF_EL2 of that CPU holds {expected}',
      but: '{found} was written to it last',
      therefore: 'the virtual counter of the guest is off by the difference',
    },
    'after-restore': {
      headline: '{register} of CPU {cpu} is written after the {timer} of {vcpu} was restored there',
      given: 'the {timer} of {vcpu} was restored on CPU {cpu}',
      must: 'the offset of its counter is written before CVAL and CTL',
      but: '{register} was written while the timer was running already',
      therefore:
        'the hardware has compared the deadline with another counter: the interrupt may come too early or late',
    },
    'counter-write-lost': {
      headline: 'the load of {vcpu} on CPU {cpu} has counter offset {found}, as before userspace set its counter',
      given: 'userspace set the counter of {vcpu}, whose VM had offset {found}',
      must: 'the offset is the physical counter less what was written',
      but: 'the next load showed the same offset as before',
      therefore: 'the counter of the guest goes on as if nothing had been written: after a migration its time jumps',
    },
    'timer-in-hardware': {
      headline: 'the counter offset {found} is written on CPU {cpu} with the virtual timer of {vcpu} in the hardware',
      given: 'the virtual timer of {vcpu} had been restored on CPU {cpu}, and not been saved',
      must: 'a load writes the offset before it restores the timer, a put takes it back once the timer is saved',
      but: 'the offset became {found} in between',
      therefore:
        'the timer is compared with another counter for a moment, and may fire for a deadline that has not come',
    },
    'moved-in-run': {
      headline: 'the counter offset of {vcpu} changes from {expected} to {found} while it stays in KVM_RUN',
      given: 'a write of the counter had no effect: userspace has set the offset of the VM itself, {expected}',
      must: 'the offset changes by that ioctl alone, which fails while a vcpu is in KVM_RUN',
      but: '{vcpu} was loaded with {found}, and had not been back in userspace',
      therefore: 'the counter of the guest jumps',
    },
    'hypervisor-adjusted': {
      headline:
        'the hypervisor in {vcpu} is entered on CPU {cpu} with counter offset {found} instead of {expected} (0e4598102855)',
      given:
        'the timer map gives the hardware to the timers of the hypervisor inside {vcpu}, whose VM has offset {expected}',
      must: 'its own virtual timer has that offset: CNTVOFF_EL2 of the guest is for its guests',
      but: '{found} was written',
      therefore:
        'the deadlines of the hypervisor are off by what it has set for its guest: the known bug that 0e4598102855 ("Don\'t adjust the EL2 virtual timer offset", 6.14) fixes',
    },
  },
  examples: {
    legal: [
      ...backLegal,
      {
        title: 'the load writes the offset of the VM',
        model: 'timer-map',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,value\nload,0,0\ntimer_load,0,0,0x1000\nset_cntvoff,0,0,0x1000\nrestore,0,0\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nset_cntvoff,0,0,0\nload,0,1\ntimer_load,0,1,0x1000\nset_cntvoff,0,1,0x1000\nrestore,0,1\nentry,0,1\n',
      },
      {
        title: 'userspace sets the counter of a loaded vcpu: the new offset comes with the next load (W13)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,value,register\nload,0,0,0x1000\nset_cntvoff,0,0,0x1000\nentry,0,0\nexit,0,0\nuser_write,1,1,0x77,cnt\nflush,0,0,0x2000\nentry,0,0\nexit,0,0\nput,0,0\nset_cntvoff,0,0,0\nload,0,0,0x2000\nset_cntvoff,0,0,0x2000\nentry,0,0\n',
      },
      {
        title: 'the put takes the offset back; its save before that is in no record',
        model: 'load-put-4.15',
        trace:
          'event,vcpu,cpu,value\nload,0,0,0x1000\nset_cntvoff,0,0,0x1000\nrestore,0,0\nentry,0,0\nexit,0,0\nput,0,0\nset_cntvoff,0,0,0\nload,0,0,0x1000\nset_cntvoff,0,0,0x1000\nrestore,0,0\nentry,0,0\n',
      },
    ],
    violating: [
      ...backViolating,
      {
        title: 'the put takes the offset back before it saves the timer',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nset_cntvoff,0,0,0x1000\nrestore,0,0\nentry,0,0\nexit,0,0\nput,0,0\nset_cntvoff,0,0,0\nsave,0,0\n',
        message: 'timer-in-hardware',
        line: 8,
      },
      {
        title: 'the offset of its guest is added to that of a hypervisor (0e4598102855)',
        model: 'offset',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,timer,dv,dp,ev,ep,value\nload,0,0,,,,,,0x1000\ntimer_map,0,0,,2,3,1,0\nset_cntvoff,0,0,,,,,,0x3000\nrestore,0,0,hvtimer\nrestore,0,0,hptimer\nentry,0,0\n',
        message: 'hypervisor-adjusted',
        line: 7,
      },
      {
        title: 'another offset than that of the VM is written',
        model: 'timer-map',
        host: 'vhe',
        trace: 'event,vcpu,cpu,value\nload,0,0\ntimer_load,0,0,0x1000\nset_cntvoff,0,0,0\nrestore,0,0\nentry,0,0\n',
        message: 'wrong',
        line: 6,
      },
      {
        title: 'the offset changes in KVM_RUN, though writes of the counter do nothing',
        model: 'offset',
        trace:
          'event,vcpu,cpu,value,register\nload,0,0,0x1000\nset_cntvoff,0,0,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nuserspace_exit,0,0\nuser_write,0,0,0x77,cnt\nload,0,0,0x1000\nset_cntvoff,0,0,0x1000\nentry,0,0\nexit,0,0\nsched_switch,0,0\nput,0,0\nload,0,0,0x2000\n',
        message: 'moved-in-run',
        line: 15,
      },
      {
        title: 'userspace sets the counter, and the offset stays',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,value,register\nload,0,0,0x1000\nset_cntvoff,0,0,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nuserspace_exit,0,0\nuser_write,0,0,0x77,cnt\nload,0,0,0x1000\n',
        message: 'counter-write-lost',
        line: 9,
      },
      {
        title: 'the load restores the timer first',
        model: 'offset',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,value\nload,0,0,,,,0x1000\nrestore,0,0,vtimer,1,0x1000\nset_cntvoff,0,0,,,,0x1000\nentry,0,0\n',
        message: 'after-restore',
        line: 4,
      },
      {
        title: 'the second load writes no offset',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nset_cntvoff,0,0,0x1000\nentry,0,0\nexit,0,0\nput,0,0\nset_cntvoff,0,0,0\nload,0,0\nentry,0,0\n',
        message: 'not-written',
        line: 9,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    const isWorldSwitch = context.model.id === 'world-switch';
    /** By vcpu: the function of its last load that showed the offset. */
    const shown = new Slots();
    /** By vcpu: an entry with an offset that differs, until userspace can be ruled out. */
    const doubtful = new Slots();
    /** By vcpu: it has been loaded with an offset other than 0. */
    const shifted: boolean[] = [];
    /** By vcpu: serial of the write of the offset by its last load that was seen. */
    const written: number[] = [];
    /** Serial of the last write of a counter by userspace. */
    let counterSet = 0;
    /** By vcpu: userspace has set its counter, and no load has shown the offset since. */
    const counterWrites = new Slots();
    // From 6.4 on writes of the counter have no effect once userspace has set the offset itself, which leaves no record.
    const ignoring = context.candidates.filter((id) => id === 'offset' || id === 'stateless-level').length;
    /** By vcpu: a write of the counter had no effect. */
    const ignored: boolean[] = [];

    const back = new MovedAndBack(context);

    /** The offset changes with the counter: nobody writes it to the very tick at which it is. */
    function moved(event: TimerEvent, before: TimerEvent): void {
      const write = counterWrites.take(event.vcpu);
      if (write === undefined || before.serial > write.serial) return;
      if (!isSameValue(event, before)) return context.hold(event);
      if (ignoring > 0) {
        ignored[event.vcpu] = ignoring === context.candidates.length;
        return;
      }
      context.violate(event, {
        message: 'counter-write-lost',
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, found: valueText(event) },
        witness: [before, write],
      });
    }

    /** An offset that userspace has set itself stays as long as a vcpu is in KVM_RUN. */
    function stays(event: TimerEvent, before: TimerEvent): void {
      const { last, unseen } = machine.vcpu(event.vcpu);
      const back = last[Kind.userspace_exit];
      if (unseen || back.serial === 0 || back.serial > before.serial) return;
      if (isSameValue(event, before)) return context.hold(event);
      context.violate(event, {
        message: 'moved-in-run',
        data: { vcpu: vcpuName(machine, event.vcpu), found: valueText(event), expected: valueText(before) },
        witness: [back, before],
      });
    }

    function wrong(event: TimerEvent, at: TimerEvent, expected: TimerEvent): void {
      const found = machine.cpu(at.cpu).last[Kind.set_cntvoff];
      context.violate(event, {
        message: 'wrong',
        data: {
          vcpu: vcpuName(machine, at.vcpu),
          cpu: at.cpu,
          found: valueText(found),
          expected: valueText(expected),
        },
        witness: [expected, found],
        at,
      });
    }

    /** A function shows the offset: at a load that is the one to be written, later it tells whether it has changed. */
    function show(event: TimerEvent): void {
      if (event.vcpu < 0) return;
      const { kind, vcpu } = event;
      const entry = event.hasValue ? doubtful.take(vcpu) : undefined;
      const before = shown.get(vcpu);
      if (entry !== undefined && before !== undefined) {
        if (isSameValue(event, before)) wrong(event, entry, before);
        else context.undecided(entry, changed);
      }
      if (kind === Kind.load || kind === Kind.timer_load) {
        if (event.hasValue && before !== undefined) {
          if (!counterWrites.isEmpty) moved(event, before);
          if (ignored[vcpu] === true) stays(event, before);
        }
        if (event.hasValue) shown.set(vcpu, event);
        else if (kind === Kind.load) shown.clear(vcpu);
      }
    }

    /** A hypervisor's own virtual timer has the offset of the VM; that of its guest is adjusted by one that no event shows. */
    function ofHypervisor(event: TimerEvent, vcpu: VcpuState, found: TimerEvent): void {
      const expected = shown.get(event.vcpu);
      if (vcpu.directVtimer !== Timer.hvtimer || expected === undefined) return context.undecided(event, nested);
      if (isSameValue(found, expected)) return context.hold(event);
      if (context.model.id !== 'offset' || counterSet > expected.serial || !context.records(Kind.user_write))
        return context.undecided(event, nested);
      context.violate(event, {
        message: 'hypervisor-adjusted',
        data: {
          vcpu: vcpuName(machine, event.vcpu),
          cpu: event.cpu,
          found: valueText(found),
          expected: valueText(expected),
        },
        witness: [expected, found],
        severity: 'info',
      });
    }

    // From 6.4 on the offset is part of the save and the restore, whose records come last.
    const isPart = context.model.id === 'offset' || context.model.id === 'stateless-level';

    /** No offset is written between a restore and a save. */
    function ordered(event: TimerEvent, isVirtual: boolean): void {
      if (!isPart || event.vcpu < 0) return;
      const vcpu = machine.vcpu(event.vcpu);
      const timer = isVirtual ? (vcpu.directVtimer >= 0 ? vcpu.directVtimer : Timer.vtimer) : vcpu.directPtimer;
      const state = vcpu.contexts[timer];
      if (state === undefined || vcpu.putting || state.loaded !== yes || state.restore.cpu !== event.cpu) return;
      if (state.restore.serial < Math.max(vcpu.last[Kind.load].serial, vcpu.last[Kind.entry].serial)) return;
      context.violate(event, {
        message: 'after-restore',
        data: {
          register: isVirtual ? 'CNTVOFF_EL2' : 'CNTPOFF_EL2',
          timer: timerText(timer),
          vcpu: vcpuName(machine, event.vcpu),
          cpu: event.cpu,
        },
        witness: [state.restore],
      });
    }

    /** From 6.4 on both are part of the save and the restore, whose records come last. */
    const isApart = context.candidates.every((id) => id !== 'offset' && id !== 'stateless-level');
    /** By vcpu: its virtual timer is in the hardware, as the records of restores and saves tell. */
    const restored: (boolean | undefined)[] = [];

    /** By vcpu: the first write of the offset beside its restored timer, until a save shows that it was still there. */
    const besides = new Slots();

    function inHardware(event: TimerEvent, yes: boolean): void {
      const { vcpu, timer } = event;
      if (vcpu < 0 || (timer !== Timer.vtimer && timer !== Timer.hvtimer)) return;
      restored[vcpu] = yes;
      const write = besides.take(vcpu);
      if (yes || write === undefined) return;
      context.violate(event, {
        message: 'timer-in-hardware',
        data: { vcpu: vcpuName(machine, vcpu), cpu: write.cpu, found: valueText(write) },
        witness: [machine.vcpu(vcpu).vtimer.restore, event],
        at: write,
      });
    }

    /** No save has been recorded, be it that saves are not: whether the timer had left the hardware is not known. */
    function notSaved({ vcpu }: TimerEvent): void {
      const write = vcpu >= 0 ? besides.take(vcpu) : undefined;
      if (write !== undefined) context.undecided(write, because.noRegisters);
    }

    /** The offset is written before the timer is restored, and taken back after it is saved. */
    function beside(event: TimerEvent): void {
      const { running } = machine.cpu(event.cpu);
      if (!isApart || running < 0 || restored[running] !== true || !event.hasValue || event.context === Context.hardirq)
        return;
      const vcpu = machine.vcpu(running);
      const before = machine.cpu(event.cpu).last[Kind.set_cntvoff];
      // Where every load and put writes it, one that changes nothing is of no consequence.
      if (vcpu.isNested || vcpu.unseen || (before.hasValue && isSameValue(before, event))) return;
      const { restore } = vcpu.vtimer;
      if (restore.cpu !== event.cpu || restore.serial < vcpu.last[Kind.load].serial) return;
      // A counter that userspace sets, or a trap that is emulated, writes it for the vcpu that is loaded.
      if (Math.max(counterSet, vcpu.last[Kind.trapped_access].serial) > vcpu.last[Kind.load].serial) return;
      if (besides.get(running) === undefined) besides.set(running, event);
    }

    return {
      before: {
        load(event) {
          notSaved(event);
          show(event);
        },
        timer_load: show,
        set_cntpoff: (event) => ordered(event, false),
        // Only a load shows what is to be written.
        timer_put: when(doubtful.occasion, show),
        put: when(doubtful.occasion, show),
        put_end: when(besides.occasion, notSaved),
        flush: when(doubtful.occasion, show),
        sync: when(doubtful.occasion, show),
        lost() {
          shown.each((_, vcpu) => {
            shown.clear(vcpu);
          });
          written.length = 0;
          back.forget();
          counterWrites.each((_, vcpu) => counterWrites.clear(vcpu));
          restored.length = 0;
          besides.each((_, vcpu) => besides.clear(vcpu));
        },
        user_write(event) {
          if (event.register !== Register.cnt) return;
          counterSet = event.serial;
          if (event.vcpu >= 0 && event.attribution < Certainty.approximate) counterWrites.set(event.vcpu, event);
        },
        restore: when(context.recorded(Kind.set_cntvoff), (event) => inHardware(event, true)),
        save: when(context.recorded(Kind.set_cntvoff), (event) => inHardware(event, false)),
        set_cntvoff(event) {
          ordered(event, true);
          beside(event);
          if (event.vcpu < 0 || !event.hasValue || machine.vcpu(event.vcpu).putting) return;
          written[event.vcpu] = event.serial;
          if (!isZeroValue(event)) shifted[event.vcpu] = true;
        },
        entry: when(context.recorded(Kind.set_cntvoff), (event) => {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          const found = machine.cpu(event.cpu).last[Kind.set_cntvoff];
          if (!found.hasValue) return context.undecided(event, because.initial);
          if (vcpu.isNested) return ofHypervisor(event, vcpu, found);
          // The world switch writes the offset after the record, and has left 0 behind.
          if (isWorldSwitch && isZeroValue(found)) return;
          const last = written[event.vcpu] ?? 0;
          const put = vcpu.last[Kind.put_end];
          if (!isWorldSwitch && last > 0 && put.serial > last && vcpu.cpu === event.cpu && !vcpu.unseen) {
            const load = vcpu.last[Kind.load];
            if (load.serial < put.serial || load.certainty >= Certainty.approximate)
              return context.undecided(event, because.approximate);
            // Told once: the next load is another matter.
            written[event.vcpu] = 0;
            return context.violate(event, {
              message: 'not-written',
              data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, found: valueText(found) },
              witness: [put, load, found],
            });
          }
          const expected = shown.get(event.vcpu);
          if (expected === undefined) {
            // The world switch writes it after the entry; of a write of somebody else nothing follows.
            const own = !isWorldSwitch && found.serial === written[event.vcpu];
            if (own) back.entered(event, found);
            return context.undecided(event, unshown);
          }
          if (isSameValue(found, expected)) return context.hold(event);
          // Written anew while it was loaded, as a trapped access does since 6.4.
          if (vcpu.offset.serial > expected.serial && isSameValue(found, vcpu.offset)) return context.hold(event);
          if (counterSet > expected.serial) return context.undecided(event, changed);
          if (isZeroValue(found) && shifted[event.vcpu] !== true && context.model.id === 'stateless-level')
            return context.undecided(event, workaround);
          if (context.records(Kind.user_write)) return wrong(event, event, expected);
          if (doubtful.get(event.vcpu) === undefined) doubtful.set(event.vcpu, event);
        }),
      },
      end() {
        doubtful.each((event) => {
          context.undecided(event, because.ends);
        });
      },
    };
  },
});
