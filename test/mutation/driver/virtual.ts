import { exits } from '../../../src/simulate/guest.js';
import { type Episode, periodic, ticks, us, vtimer } from './stage.js';

/** The virtual timer of guests that run, are preempted and sleep. */
export const virtualTimer: Readonly<Record<string, Episode>> = {
  /** A periodic tick, taken in the guest. */
  tick(stage) {
    const { a, c0 } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 30);
    for (let i = 0; i < 3; i++) stage.untilInterrupt(a, c0, periodic);
    stage.end(a, c0);
    stage.simulation.advance(100 * us);
    stage.begin(a, c0);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** Two vcpus on one CPU, and one that moves: deadlines ahead and passed. */
  preempt(stage) {
    const { a, other, c0, c1, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 400);
    simulation.scheduleOut(a, c0, false, other.pid);
    stage.begin(other, c0);
    stage.arm(other, c0, 20);
    stage.untilInterrupt(other, c0, periodic);
    simulation.scheduleOut(other, c0, false, a.pid);
    simulation.load(a, c0);
    stage.run(a, c0, (guest) => guest.spend(10 * us));
    simulation.scheduleOut(a, c0, false);
    simulation.scheduleIn(a, c1);
    stage.run(a, c1, (guest) => guest.spend(10 * us));
    simulation.scheduleOut(a, c1, false);
    simulation.advance(600 * us);
    simulation.scheduleIn(a, c0);
    stage.untilInterrupt(a, c0, periodic);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
    simulation.scheduleIn(other, c1);
    stage.untilInterrupt(other, c1);
    stage.end(other, c1);
  },

  /** Sleeps until its timer wakes it. */
  block(stage) {
    const { a, c0, c1 } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 300);
    if (stage.block(a, c0)) stage.sleep(a, c1, 500);
    stage.untilInterrupt(a, c1, periodic);
    if (stage.block(a, c1)) stage.sleep(a, c0, 200);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** Sleeps, and is woken by something else before its deadline; sleeps again. */
  woken(stage) {
    const { a, b, c0, c1 } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 900);
    if (stage.block(a, c0)) stage.sleep(a, c0, 100);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.begin(b, c1);
    stage.run(b, c1, (guest) => guest.spend(5 * us));
    if (stage.block(a, c0)) stage.sleep(a, c0, 100);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.end(b, c1);
    if (stage.block(a, c0)) {
      // Woken, back, nothing pending: asleep again, until the timer.
      stage.simulation.wake(a, c1);
      stage.simulation.scheduleIn(a, c1);
      stage.simulation.scheduleOut(a, c1, true);
      stage.sleep(a, c1, 900);
    }
    stage.untilInterrupt(a, c1);
    stage.end(a, c1);
  },

  /** Nothing to wake it, a deadline that has passed, a clock that is slewed. */
  blockEdges(stage) {
    const { a, c0, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 200, vtimer, 3);
    if (stage.block(a, c0)) stage.sleep(a, c0, 300);
    stage.arm(a, c0, 1, vtimer, 0);
    if (stage.block(a, c0)) stage.sleep(a, c0, 50);
    stage.arm(a, c0, 4);
    simulation.advance(10 * us);
    if (stage.block(a, c0)) stage.sleep(a, c0, 50);
    stage.untilInterrupt(a, c0);
    stage.arm(a, c0, 200);
    simulation.slew = 20 * us;
    if (stage.block(a, c0)) stage.sleep(a, c0, 400);
    simulation.slew = 0;
    stage.untilInterrupt(a, c0);
    // Switched out on its way to sleep, and back at once.
    stage.arm(a, c0, 300);
    if (stage.block(a, c0, true)) stage.sleep(a, c0, 50);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** The guest masks an expired timer without taking its interrupt, and later wants it. */
  mask(stage) {
    const { a, c0, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 20);
    stage.run(a, c0, (guest) => guest.spend(60 * us));
    stage.run(a, c0, (guest) => {
      guest.program(vtimer, 3, 0);
      guest.spend(5 * us);
      guest.exit(exits.sysreg);
    });
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.run(a, c0, (guest) => {
      guest.program(vtimer, 1, 0);
      guest.spend(20 * us);
    });
    stage.untilInterrupt(a, c0);
    // The same with an interrupt that stays active over a put.
    stage.arm(a, c0, 20);
    stage.run(a, c0, (guest) => guest.spend(60 * us));
    stage.run(a, c0, (guest) => {
      guest.acknowledge();
      guest.program(vtimer, 1, guest.count + Math.round(40 * ticks));
      guest.exit(exits.sysreg);
    });
    simulation.scheduleOut(a, c0, false);
    simulation.advance(100 * us);
    simulation.scheduleIn(a, c0);
    stage.run(a, c0, (guest) => {
      guest.deactivate(vtimer);
      guest.spend(30 * us);
    });
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** Loaded and put again before it is entered, with a timer that runs. */
  passing(stage) {
    const { a, c0, c1, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 900);
    for (const cpu of [c1, c0, c1]) {
      simulation.scheduleOut(a, cpu === c1 ? c0 : c1, false);
      simulation.advance(20 * us);
      simulation.scheduleIn(a, cpu);
    }
    stage.untilInterrupt(a, c1);
    stage.end(a, c1);
  },

  /** Deadlines that pass inside a put, a load, or before an entry that is given up. */
  late(stage) {
    const { a, other, c0, simulation } = stage;
    stage.begin(a, c0);
    for (let i = 0; i < 6; i++) {
      stage.arm(a, c0, 8 + i);
      simulation.put(a, c0);
      c0.pid = 0;
      simulation.advance(30 * us);
      stage.begin(other, c0);
      stage.run(other, c0, (guest) => guest.spend(3 * us));
      stage.end(other, c0);
      simulation.load(a, c0);
      if (i % 2 === 0 && simulation.has('flush')) simulation.call('flush', c0, a);
      if (
        i % 2 === 0 &&
        simulation.has('sync') &&
        simulation.design.id !== 'rfc-load-put' &&
        simulation.loadsForIoctls
      ) {
        simulation.call('sync', c0, a);
      }
      stage.untilInterrupt(a, c0);
    }
    stage.end(a, c0);
  },

  /** Preempted with an interrupt that the host has taken and the guest has not, and later with one that the load has raised. */
  pending(stage) {
    const { a, c0, c1, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 20);
    stage.run(a, c0, (guest) => guest.spend(60 * us));
    simulation.scheduleOut(a, c0, false);
    simulation.advance(50 * us);
    simulation.scheduleIn(a, c1);
    stage.run(a, c1, (guest) => guest.exit(exits.sysreg));
    simulation.scheduleOut(a, c1, false);
    simulation.scheduleIn(a, c0);
    stage.untilInterrupt(a, c0);
    stage.arm(a, c0, 20);
    simulation.scheduleOut(a, c0, false);
    simulation.advance(50 * us);
    simulation.scheduleIn(a, c0);
    stage.run(a, c0, (guest) => guest.exit(exits.sysreg));
    simulation.scheduleOut(a, c0, false);
    simulation.scheduleIn(a, c0);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** Masked without being taken, and wanted again; the vcpu stays in the host for a while before it is preempted. */
  remask(stage) {
    const { a, c0, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 20);
    stage.run(a, c0, (guest) => guest.spend(60 * us));
    for (const ctl of [3, 1])
      stage.run(a, c0, (guest) => {
        guest.program(vtimer, ctl, 0);
        guest.exit(exits.sysreg);
      });
    simulation.advance(2_000 * us);
    simulation.scheduleOut(a, c0, false);
    simulation.scheduleIn(a, c0);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** Something else is pending when it is about to sleep: its background timer is armed, and it does not sleep. */
  kicked(stage) {
    const { a, c0, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 300);
    stage.run(a, c0, (guest) => guest.exit(exits.wfx));
    if (simulation.has('schedule')) {
      simulation.emit('wfx', c0, a, { level: false });
      simulation.call('schedule', c0, a);
      stage.unblock(a, c0);
    }
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },
};
