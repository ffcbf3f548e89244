import { Register } from '../../../src/events/event.js';
import { type Episode, periodic, ticks, us, vtimer } from './stage.js';

/** Registers that userspace writes, and resets. */
export const userspace: Readonly<Record<string, Episode>> = {
  /** Userspace writes registers before the first run and between runs, and moves the counter. */
  user(stage) {
    const { a, b, c0, simulation } = stage;
    const soon = () => simulation.counter - a.vm.offset + Math.round(150 * ticks);
    simulation.userWrite(a, c0, vtimer, Register.cval, soon());
    simulation.userWrite(a, c0, vtimer, Register.ctl, 1);
    stage.begin(a, c0);
    stage.untilInterrupt(a, c0, periodic);
    stage.end(a, c0);
    simulation.userWrite(a, c0, vtimer, Register.cval, soon());
    simulation.userWrite(a, c0, vtimer, Register.ctl, 1);
    stage.begin(a, c0);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
    simulation.userWrite(a, c0, vtimer, Register.cnt, 50_000);
    simulation.userWrite(b, c0, vtimer, Register.cval, 49_000);
    simulation.userWrite(b, c0, vtimer, Register.ctl, 1);
    stage.begin(b, c0);
    stage.untilInterrupt(b, c0);
    stage.arm(b, c0, 30);
    stage.untilInterrupt(b, c0);
    stage.end(b, c0);
    simulation.advance(50 * us);
    stage.begin(b, c0);
    stage.run(b, c0, (guest) => guest.spend(5 * us));
    stage.end(b, c0);
  },

  /** Reset between runs with a timer that runs, and with one whose interrupt is pending. */
  reset(stage) {
    const { a, c0, simulation } = stage;
    const reset = () => {
      if (simulation.loadsForIoctls) simulation.load(a, c0);
      simulation.call('reset', c0, a);
      if (simulation.loadsForIoctls) simulation.put(a, c0);
    };
    stage.begin(a, c0);
    stage.arm(a, c0, 100);
    stage.end(a, c0);
    c0.pid = a.pid;
    reset();
    stage.begin(a, c0);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.arm(a, c0, 5);
    stage.run(a, c0, (guest) => guest.spend(30 * us));
    stage.end(a, c0);
    c0.pid = a.pid;
    reset();
    stage.begin(a, c0);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.arm(a, c0, 20);
    // PSCI resets it in its own thread, while it is loaded.
    if (!simulation.loadsForIoctls) simulation.call('reset', c0, a);
    stage.run(a, c0, (guest) => guest.spend(40 * us));
    stage.end(a, c0);
  },

  /** Userspace disables a timer whose level is high, and sets the counter to either side of a deadline. */
  counter(stage) {
    const { a, c0, simulation } = stage;
    const far = 1_000_000_000;
    stage.begin(a, c0);
    stage.arm(a, c0, 20);
    stage.run(a, c0, (guest) => guest.spend(60 * us));
    stage.end(a, c0);
    simulation.userWrite(a, c0, vtimer, Register.ctl, 0);
    stage.begin(a, c0);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.arm(a, c0, 10_000);
    stage.end(a, c0);
    simulation.userWrite(a, c0, vtimer, Register.cnt, far);
    stage.begin(a, c0);
    stage.untilInterrupt(a, c0, (guest, timer) => guest.program(timer, 1, far - 10_000_000));
    stage.end(a, c0);
    simulation.userWrite(a, c0, vtimer, Register.cnt, 1_000);
    stage.begin(a, c0);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.end(a, c0);
  },

  /** PSCI CPU_ON resets a vcpu that is out, in the thread of the one that asks for it. */
  psci(stage) {
    const { a, b, c0, c1, simulation } = stage;
    if (!simulation.loadsForIoctls) return;
    stage.begin(a, c0);
    stage.begin(b, c1);
    stage.arm(b, c1, 20);
    stage.run(b, c1, (guest) => guest.spend(60 * us));
    // It is off, and its thread sleeps.
    simulation.scheduleOut(b, c1, true);
    simulation.call('reset', c0, b);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    simulation.scheduleIn(b, c1);
    stage.run(b, c1, (guest) => guest.spend(5 * us));
    stage.end(b, c1);
    stage.end(a, c0);
  },
};
