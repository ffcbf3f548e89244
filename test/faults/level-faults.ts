import type { Fault, Site } from './fault.js';
import { copy, type Line, level, recordLike, withArg, withLevel } from './inject.js';
import { inRounds, interrupt, loadLevel, raising } from './sites.js';
import { first, type Recording, registersOf } from './structure.js';

// Faults of reported levels, their injection and the distributor's active state.

/** The active state that a load with level 1 writes for the vtimer, and the restore that follows. */
function activeWrites(recording: Recording): { write: Line; restore: Line }[] {
  return recording.rounds.flatMap((round) => {
    const reported = loadLevel(round, 27, 1);
    const restore = registersOf(round.load, 1);
    if (reported === undefined || restore === undefined) return [];
    const lines = round.load.lines.slice(round.load.lines.indexOf(reported.inject));
    const write = lines.find(({ event, args }) => event === 'irqchip_state' && args.endsWith('which=1 val=1'));
    return write === undefined ? [] : [{ write, restore }];
  });
}

export const levelFaults: readonly Fault[] = [
  {
    id: 'injection-removed',
    does: 'a load reports a level that the vgic does not get',
    rules: ['vgic-follows-level'],
    diagnosis: 'not-injected',
    sites: (recording) =>
      inRounds(recording, (round) => {
        const reported = loadLevel(round, 27);
        if (reported === undefined) return undefined;
        return {
          place: reported.inject,
          inject(edit) {
            edit.remove(reported.inject);
            return reported.update;
          },
        };
      }),
  },
  {
    id: 'injection-removed-in-handler',
    does: 'the interrupt handler reports a level that the vgic does not get',
    rules: ['vgic-follows-level'],
    diagnosis: 'not-injected',
    sites: (recording) =>
      raising(recording).flatMap(({ inside }) => {
        const update = inside.find((line) => line.event === 'kvm_timer_update_irq') as Line;
        const inject = inside.find((line) => line.event === 'vgic_update_irq_pending');
        if (inject === undefined) return [];
        const site: Site = {
          place: inject,
          inject(edit) {
            edit.remove(inject);
            return update;
          },
        };
        return [site];
      }),
  },
  {
    id: 'injection-other-level',
    does: 'the vgic gets the opposite of the level that a load reports',
    rules: ['vgic-follows-level'],
    diagnosis: 'other-level',
    sites: (recording) =>
      inRounds(recording, (round) => {
        const reported = loadLevel(round, 27);
        if (reported === undefined) return undefined;
        const { inject } = reported;
        return { place: inject, inject: (edit) => edit.replace(inject, withLevel(inject, 1 - level(inject).level)) };
      }),
  },
  {
    id: 'injection-without-report',
    does: 'an injection of IRQ 27 without a report of the timer is inserted after an exit',
    rules: ['vgic-follows-level'],
    diagnosis: 'not-reported',
    sites: (recording) =>
      inRounds(recording, (round) => {
        const reported = loadLevel(round, 27);
        const exit = first(round.exit);
        if (reported === undefined) return undefined;
        const extra = recordLike(exit, 'vgic_update_irq_pending', reported.inject.args);
        return { place: exit, inject: (edit) => edit.after(exit, extra)[0] as Line };
      }),
  },
  {
    id: 'ptimer-level-repeated',
    does: 'timer_emulate raises the level of the emulated ptimer a second time',
    rules: ['level-alternates'],
    sites: (recording) => {
      // From stateless-level on kvm_timer_update_irq after timer_emulate is unconditional.
      if (recording.host === 'vhe' || recording.lines.some(({ args }) => args.includes('ev: '))) return [];
      return recording.lines.flatMap((line, i) => {
        if (line.event !== 'kvm_timer_emulate' || !line.args.includes('should_fire: 1')) return [];
        const own = recording.lines.slice(i, i + 40).filter(({ pid, cpu }) => pid === line.pid && cpu === line.cpu);
        const burst = own.slice(0, own.findIndex(({ event }) => event === 'vgic_update_irq_pending') + 1);
        const events = burst.map(({ event }) => event).filter((event) => event !== 'update_irq');
        if (events.join() !== 'kvm_timer_emulate,kvm_timer_update_irq,vgic_update_irq_pending') return [];
        const site: Site = {
          place: line,
          inject(edit) {
            const inserted = edit.after(burst[burst.length - 1] as Line, ...burst.map(copy));
            return inserted.find(({ event }) => event === 'kvm_timer_update_irq') as Line;
          },
        };
        return [site];
      });
    },
  },
  {
    id: 'irq-before-entry',
    does: 'a vtimer interrupt comes between the restore and the entry of a load that reported level 1',
    rules: ['dist-active-at-load'],
    diagnosis: 'interrupt-before-entry',
    sites: (recording) =>
      recording.has('irqchip_state') || recording.interrupts.length === 0
        ? []
        : inRounds(recording, (round) => {
            const reported = loadLevel(round, 27, 1);
            const entry = first(round.entry);
            if (reported === undefined || registersOf(round.load, 1) === undefined) return undefined;
            const reports = [reported.update, reported.inject];
            return {
              place: entry,
              inject: (edit) => edit.before(entry, ...interrupt(recording, entry, reports))[0] as Line,
            };
          }),
  },
  {
    id: 'active-state-cleared',
    does: 'a load that reported level 1 writes an inactive state to the distributor',
    rules: ['dist-active-at-load'],
    diagnosis: 'inactive',
    sites: (recording) =>
      activeWrites(recording).map(({ write }) => ({
        place: write,
        inject: (edit) => edit.replace(write, withArg(write, 'val=1', 'val=0')),
      })),
  },
  {
    id: 'active-state-not-written',
    does: 'a load that reported level 1 does not write the active state',
    rules: ['dist-active-at-load'],
    diagnosis: 'not-written',
    sites: (recording) =>
      activeWrites(recording).map(({ write, restore }) => ({
        place: write,
        inject(edit) {
          edit.remove(write);
          return restore;
        },
      })),
  },
  {
    id: 'active-state-of-other-irq',
    does: 'a load that reported level 1 writes the active state of an interrupt that is none of its timers',
    rules: ['dist-active-at-load'],
    diagnosis: 'not-written',
    // Before an interrupt has named the irq, and the same was written, any unknown one may be it.
    sites: (recording) =>
      activeWrites(recording)
        .slice(1)
        .map(({ write, restore }) => ({
          place: write,
          inject(edit) {
            edit.replace(write, withArg(write, /irq=\d+/, 'irq=99'));
            return restore;
          },
        })),
  },
  {
    id: 'load-level-not-reported',
    does: 'a load of 5.2 or later restores an expired timer without having reported its level',
    rules: ['expired-timer-asserted', 'dist-active-at-load'],
    sites(recording) {
      // What a vcpu has not reported yet, or nobody at that level, a filter may leave out.
      const high = recording.rounds.flatMap((round) => loadLevel(round, 27, 1)?.update ?? []);
      const earliest = Math.min(...high.map((line) => recording.at(line)));
      const threads = new Set<number>();
      return inRounds(recording, (round) => {
        const load = loadLevel(round, 27, 1);
        const restore = registersOf(round.load, 1);
        if (load === undefined || restore === undefined) return undefined;
        const { update, inject } = load;
        if (!threads.has(update.pid)) {
          threads.add(update.pid);
          return undefined;
        }
        const before = round.load.lines[round.load.lines.indexOf(update) - 1];
        return {
          place: update,
          inject(edit) {
            if (before?.event === 'update_irq') edit.remove(before);
            edit.remove(update, inject);
            return restore;
          },
        };
      }).filter(({ place }) => recording.at(place) > earliest);
    },
  },
];
