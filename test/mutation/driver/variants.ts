import { Register } from '../../../src/events/event.js';
import type { Design } from '../../../src/models/design.js';
import { exits } from '../../../src/simulate/guest.js';
import type { SimCpu, SimHost, SimTimer } from '../../../src/simulate/state.js';
import { physical, takePhysical } from './physical.js';
import { type Episode, hptimer, hvtimer, ptimer, type Stage, ticks, us, vtimer } from './stage.js';

// Hosts and guests of 6.4 and later: hypervisors as guests, offsets of the physical counter, GICv5.

/** What differs on such a host, and so what it is tried with. */
interface Variant {
  readonly host: Partial<SimHost>;
  readonly designs: readonly Design['id'][];
  readonly episodes: readonly string[];
}

const withOffsets = ['offset', 'stateless-level'] as const;

const variants: readonly Variant[] = [
  { host: { nested: true }, designs: withOffsets, episodes: ['hypervisor'] },
  { host: { physicalOffset: 7000 }, designs: withOffsets, episodes: ['ptimer', 'both'] },
  { host: { physicalOffset: 7000, cntpoff: true }, designs: withOffsets, episodes: ['ptimer', 'both'] },
  {
    host: { gicv5: true },
    designs: ['stateless-level'],
    episodes: ['tick', 'preempt', 'block', 'mask', 'late', 'ptimer', 'reset'],
  },
];

/** The further hosts of a design. */
export function variantsOf({ id }: Design, vhe: SimHost): SimHost[] {
  return variants.filter(({ designs }) => designs.includes(id)).map(({ host }) => ({ ...vhe, ...host }));
}

/** The episodes of such a host, undefined for a plain one. */
export function episodesOfVariant(host: SimHost): readonly string[] | undefined {
  const keys = ['nested', 'physicalOffset', 'cntpoff', 'gicv5'] as const;
  return variants.find(
    (variant) => keys.some((key) => host[key]) && keys.every((key) => variant.host[key] === host[key]),
  )?.episodes;
}

/** A hypervisor enters its guest, or is entered again: a put and a load without a switch of threads. */
function world({ a, c0, simulation }: Stage, inHypervisor: boolean, cpu: SimCpu = c0): void {
  simulation.put(a, cpu);
  a.inHypervisor = inHypervisor;
  simulation.load(a, cpu);
}

/** The hypervisor writes a timer of its guest, which is in memory meanwhile (VNCR_EL2): no trap, no record. */
function inMemory(stage: Stage, timer: SimTimer, ctl: number, delay: number): void {
  const { a, c0, simulation } = stage;
  stage.run(a, c0, (guest) => {
    const context = a.contexts[timer];
    context.ctl = ctl;
    context.cval = simulation.contextCount(a, timer) + Math.round(delay * ticks);
    guest.spend(2 * us);
    guest.exit(exits.sysreg);
  });
}

/** It takes the interrupt of a timer of its guest, and turns that timer off. */
function takeInMemory(stage: Stage): void {
  const { a, c0 } = stage;
  for (let trip = 0; trip < 4; trip++) {
    stage.run(a, c0, (guest) => {
      for (const timer of guest.acknowledge()) {
        if (a.contexts[timer].loaded) guest.program(timer, 0, 0);
        else a.contexts[timer].ctl = 0;
        guest.deactivate(timer);
      }
      guest.spend(60 * us);
      guest.exit(exits.sysreg);
    });
  }
}

export const hypervisors: Readonly<Record<string, Episode>> = {
  /** A hypervisor and its guest by turns: the timers of one are emulated while the other has the hardware. */
  hypervisor(stage) {
    const { a, c0, c1, simulation } = stage;
    if (simulation.host.nested !== true) return;
    stage.begin(a, c0);
    stage.arm(a, c0, 30, hvtimer);
    stage.untilInterrupt(a, c0);
    for (const timer of [vtimer, ptimer] as const) {
      inMemory(stage, timer, 1, 150);
      stage.run(a, c0, (guest) => guest.spend(5 * us));
      // Loaded again, so that kernels which look at loads only see it, too.
      simulation.scheduleOut(a, c0, false);
      simulation.scheduleIn(a, c0);
      takeInMemory(stage);
      simulation.scheduleOut(a, c0, false);
      simulation.scheduleIn(a, c0);
      stage.run(a, c0, (guest) => guest.spend(5 * us));
    }
    // Armed in one load, and put at once.
    inMemory(stage, vtimer, 1, 900);
    for (let i = 0; i < 2; i++) {
      simulation.scheduleOut(a, c0, false);
      simulation.scheduleIn(a, c0);
    }
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    // Its guest gets a deadline, is entered, and takes the interrupt from the hardware.
    inMemory(stage, vtimer, 1, 120);
    stage.arm(a, c0, 400, hvtimer);
    world(stage, false);
    stage.untilInterrupt(a, c0);
    stage.arm(a, c0, 40, ptimer);
    stage.untilInterrupt(a, c0);
    // The hypervisor's own deadline passes meanwhile: its emulation timer ends the guest's run.
    stage.run(a, c0, (guest) => guest.spend(500 * us));
    world(stage, true);
    stage.untilInterrupt(a, c0);
    // Asleep in the guest, and woken by the hypervisor's timer.
    stage.arm(a, c0, 300, hptimer);
    world(stage, false);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    const slept = stage.block(a, c0);
    if (slept) stage.sleep(a, c1, 500);
    const cpu = slept ? c1 : c0;
    world(stage, true, cpu);
    stage.untilInterrupt(a, cpu);
    stage.end(a, cpu);
  },
};

export const bothTimers: Readonly<Record<string, Episode>> = {
  /** PSCI resets a vcpu whose timer interrupt its guest has not ended. */
  resetActive(stage) {
    const { a, c0, simulation } = stage;
    if (simulation.loadsForIoctls) return;
    stage.begin(a, c0);
    stage.arm(a, c0, 20);
    stage.run(a, c0, (guest) => guest.spend(60 * us));
    stage.run(a, c0, (guest) => {
      for (const timer of guest.acknowledge()) guest.program(timer, 0, 0);
      guest.exit(exits.hvc);
    });
    simulation.call('reset', c0, a);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.end(a, c0);
  },

  /** The guest turns its expired timer off, and is put at once. */
  cancelled(stage) {
    const { a, c0, simulation } = stage;
    stage.begin(a, c0);
    for (const ctl of [3, 0]) {
      stage.arm(a, c0, 20);
      stage.run(a, c0, (guest) => guest.spend(60 * us));
      stage.run(a, c0, (guest) => {
        guest.program(vtimer, ctl, 0);
        guest.spend(5 * us);
        guest.exit(exits.sysreg);
      });
      simulation.scheduleOut(a, c0, false);
      simulation.scheduleIn(a, c0);
      stage.run(a, c0, (guest) => guest.spend(5 * us));
    }
    stage.end(a, c0);
  },

  /** Resets with a physical timer that runs, that is pending, and that is armed in a vcpu that is loaded. */
  resetPhysical(stage) {
    const { a, c0, simulation } = stage;
    if (!simulation.host.hasPtimer || !simulation.has('trapped_access')) return;
    const reset = () => {
      c0.pid = a.pid;
      if (simulation.loadsForIoctls) simulation.load(a, c0);
      simulation.call('reset', c0, a);
      if (simulation.loadsForIoctls) simulation.put(a, c0);
    };
    stage.begin(a, c0);
    for (const delay of [300, 5]) {
      physical(stage, a, c0, 1, delay);
      stage.run(a, c0, (guest) => guest.spend(20 * us));
      stage.end(a, c0);
      reset();
      stage.begin(a, c0);
      stage.run(a, c0, (guest) => guest.spend(5 * us));
    }
    physical(stage, a, c0, 1, 100);
    if (!simulation.loadsForIoctls) simulation.call('reset', c0, a);
    stage.run(a, c0, (guest) => guest.spend(200 * us));
    stage.end(a, c0);
  },

  /** Sleeps and preemptions by turns, so often that the offset of the counter is beyond doubt; deadlines pass in either. */
  steady(stage) {
    const { a, c0, simulation } = stage;
    stage.begin(a, c0);
    for (let i = 0; i < 12; i++) {
      stage.arm(a, c0, 900);
      if (i % 4 !== 0) {
        simulation.scheduleOut(a, c0, false);
        simulation.advance(20 * us);
        simulation.scheduleIn(a, c0);
      } else if (stage.block(a, c0)) stage.sleep(a, c0, 50);
      stage.run(a, c0, (guest) => guest.spend(5 * us));
    }
    for (let i = 0; i < 24; i++) {
      stage.arm(a, c0, 300);
      if (i % 3 !== 0) {
        if (stage.block(a, c0)) stage.sleep(a, c0, 350);
      } else {
        simulation.scheduleOut(a, c0, false);
        simulation.advance(600 * us);
        simulation.scheduleIn(a, c0);
      }
      stage.untilInterrupt(a, c0);
    }
    stage.end(a, c0);
  },

  /** Accesses to the physical timer while the virtual one runs or is pending, and while it runs or is pending itself. */
  both(stage) {
    const { a, c0, simulation } = stage;
    if (!simulation.host.hasPtimer || !simulation.has('trapped_access')) return;
    stage.begin(a, c0);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.end(a, c0);
    simulation.userWrite(a, c0, vtimer, Register.cnt, 30_000);
    stage.begin(a, c0);
    stage.arm(a, c0, 200);
    physical(stage, a, c0, 1, 40);
    takePhysical(stage, a, c0);
    simulation.scheduleOut(a, c0, false);
    simulation.scheduleIn(a, c0);
    stage.untilInterrupt(a, c0);
    // Raised, not taken, and moved.
    physical(stage, a, c0, 1, 5);
    stage.run(a, c0, (guest) => {
      guest.spend(20 * us);
      guest.exit(exits.sysreg);
    });
    physical(stage, a, c0, 1, 300);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    // Turned off before its deadline, which passes.
    physical(stage, a, c0, 0, 50);
    stage.run(a, c0, (guest) => guest.spend(400 * us));
    // Moved away, and nearer.
    physical(stage, a, c0, 1, 100);
    physical(stage, a, c0, 1, 400);
    stage.run(a, c0, (guest) => guest.spend(200 * us));
    physical(stage, a, c0, 1, 30);
    takePhysical(stage, a, c0);
    // The virtual timer's interrupt after an access, again and again.
    for (let i = 0; i < 4; i++) {
      stage.arm(a, c0, 60);
      physical(stage, a, c0, 1, 900);
      stage.untilInterrupt(a, c0);
    }
    physical(stage, a, c0, 0, 900);
    // One access that only reads.
    simulation.trappedAccess(a, c0, ptimer, Register.cval, 0, false);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.end(a, c0);
  },
};
