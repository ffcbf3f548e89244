import { Register } from '../../../src/events/event.js';
import { exits } from '../../../src/simulate/guest.js';
import type { SimCpu, SimVcpu } from '../../../src/simulate/state.js';
import { type Episode, never, ptimer, type Stage, ticks, us } from './stage.js';

/** A trapped write of the emulated physical timer, or a direct one. */
export function physical(stage: Stage, vcpu: SimVcpu, cpu: SimCpu, ctl: number, delay: number): void {
  const { simulation } = stage;
  const cval = simulation.contextCount(vcpu, ptimer) + Math.round(delay * ticks);
  if (simulation.isDirect(vcpu, ptimer) && !simulation.trapsPhysical) {
    stage.run(vcpu, cpu, (guest) => {
      guest.program(ptimer, ctl, cval);
      guest.spend(2 * us);
      guest.exit(exits.sysreg);
    });
    return;
  }
  for (const [register, value] of [
    [Register.cval, cval],
    [Register.ctl, ctl],
  ] as const) {
    stage.run(vcpu, cpu, (guest) => guest.exit(exits.sysreg));
    simulation.trappedAccess(vcpu, cpu, ptimer, register, value);
  }
}

/** The guest takes an interrupt of the trapped physical timer, and then turns the timer off. */
export function takePhysical(stage: Stage, vcpu: SimVcpu, cpu: SimCpu): void {
  const isDirect = stage.simulation.isDirect(vcpu, ptimer);
  if (isDirect && !stage.simulation.trapsPhysical) return stage.untilInterrupt(vcpu, cpu);
  for (let trip = 0; trip < 6; trip++) {
    let taken = false;
    stage.run(vcpu, cpu, (guest) => {
      for (const timer of guest.acknowledge()) {
        taken = true;
        guest.deactivate(timer);
      }
      guest.spend(taken ? us : trip < 4 ? 60 * us : never);
      guest.exit(exits.sysreg);
    });
    stage.simulation.advance(us);
    if (!taken) continue;
    stage.simulation.trappedAccess(vcpu, cpu, ptimer, Register.ctl, 0);
    return;
  }
}

/** The physical timer. */
export const physicalTimer: Readonly<Record<string, Episode>> = {
  /** The physical timer: emulated or direct, over puts, loads and sleeps. */
  ptimer(stage) {
    const { a, c0, c1, simulation } = stage;
    if (!simulation.host.hasPtimer || !simulation.has('trapped_access')) return;
    stage.begin(a, c0);
    physical(stage, a, c0, 1, 40);
    takePhysical(stage, a, c0);
    physical(stage, a, c0, 1, 300);
    simulation.scheduleOut(a, c0, false);
    simulation.advance(50 * us);
    simulation.scheduleIn(a, c1);
    stage.run(a, c1, (guest) => guest.spend(5 * us));
    simulation.scheduleOut(a, c1, false);
    simulation.advance(500 * us);
    simulation.scheduleIn(a, c0);
    takePhysical(stage, a, c0);
    physical(stage, a, c0, 1, 200);
    if (stage.block(a, c0)) stage.sleep(a, c0, 400);
    takePhysical(stage, a, c0);
    physical(stage, a, c0, 1, 100);
    physical(stage, a, c0, 3, 100);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    simulation.scheduleOut(a, c0, false);
    simulation.scheduleIn(a, c0);
    physical(stage, a, c0, 1, 60);
    simulation.slew = 20 * us;
    simulation.advance(100 * us);
    simulation.slew = 0;
    takePhysical(stage, a, c0);
    stage.end(a, c0);
  },

  /** Reset by userspace with the physical timer armed; a deadline that the guest moves into the past. */
  ptimerReset(stage) {
    const { a, c0, simulation } = stage;
    if (!simulation.host.hasPtimer || !simulation.has('trapped_access')) return;
    stage.begin(a, c0);
    physical(stage, a, c0, 1, 400);
    stage.end(a, c0);
    c0.pid = a.pid;
    if (simulation.loadsForIoctls) simulation.load(a, c0);
    simulation.call('reset', c0, a);
    if (simulation.loadsForIoctls) simulation.put(a, c0);
    stage.begin(a, c0);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    physical(stage, a, c0, 1, 5_000);
    physical(stage, a, c0, 1, -1);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    takePhysical(stage, a, c0);
    stage.end(a, c0);
  },
};
