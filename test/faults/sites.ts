import type { Site } from './fault.js';
import { interruptLike, type Line, level } from './inject.js';
import { type Interrupt, linesOf, type Recording, type Round, type Step } from './structure.js';

// Searches and makings that the tables of faults share.

/** A site per round that can take it. */
export function inRounds(recording: Recording, site: (round: Round) => Site | undefined): Site[] {
  return recording.rounds.flatMap((round) => site(round) ?? []);
}

/** An interrupt of the vtimer with what its handler reports, or nothing, in the place of a line. */
export function interrupt(recording: Recording, place: Line, reports: readonly Line[] = []): Line[] {
  const args = recording.interrupts[0]?.begin.args ?? '';
  const irq = /irq=\d+/.exec(args)?.[0] ?? '';
  return [
    interruptLike(place, 'irq_handler_entry', args),
    ...reports.map((line) => interruptLike(place, line.event, line.args)),
    interruptLike(place, 'irq_handler_exit', `${irq} ret=handled`),
  ];
}

/** Interrupts whose handler raised the level of a vcpu. */
export function raising(recording: Recording): Interrupt[] {
  return recording.interrupts.filter(({ inside }) =>
    inside.some((line) => line.event === 'kvm_timer_update_irq' && level(line).level === 1),
  );
}

/** A level of a load with its injection, for one interrupt number and level. */
export function loadLevel(round: Round, irq: number, wanted?: number): { update: Line; inject: Line } | undefined {
  const fits = (line: Line) => level(line).irq === irq && (wanted === undefined || level(line).level === wanted);
  const update = linesOf(round.load, 'kvm_timer_update_irq').find(fits);
  const inject = linesOf(round.load, 'vgic_update_irq_pending').find(fits);
  return update === undefined || inject === undefined ? undefined : { update, inject };
}

/** Sequences of steps of one thread with nothing of its own but waiting between them. */
export function sequences(recording: Recording, ...kinds: readonly Step['kind'][]): Step[][] {
  const ignored: readonly Step['kind'][] = ['wait', 'woken', 'other'];
  return [...recording.steps.values()].flatMap((all) => {
    const steps = all.filter(({ kind }) => !ignored.includes(kind));
    return steps.flatMap((_, i) => {
      const found = steps.slice(i, i + kinds.length);
      return found.length === kinds.length && found.every(({ kind }, k) => kind === kinds[k]) ? [found] : [];
    });
  });
}
