import type { Fault, Site } from './fault.js';
import { type Line, registers, withArg, withCtl, withLevel } from './inject.js';
import { linesOf, type Recording, registersOf, type Step } from './structure.js';

// Faults of when things happen. They need the counter to be known, and twenty agreeing constraints on either side.

/** A background timer that is armed in a put, for the virtual timer alone. */
interface Arming {
  readonly put: Step;
  readonly arm: Line;
  readonly save: Line;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly expires: number;
}

const canFire = (line: Line | undefined) => line !== undefined && (registers(line).ctl & 3) === 1;

/** Nanoseconds of the trace's clock. */
const timeOf = (line: Line) => Math.round(Number(line.time) * 1e9);

/** How much more than CLOCK_MONOTONIC the trace's clock shows, nanoseconds. */
function clockOffset(recording: Recording): number {
  const lines = recording.lines.filter(({ event }) => event === 'hrtimer_expire_entry');
  return Math.min(...lines.map((line) => timeOf(line) - Number(/now=(\d+)/.exec(line.args)?.[1])));
}

/** Armings of a thread for deadlines that were still to come, where the virtual timer is the only one. */
function armings(recording: Recording, steps: readonly Step[]): Arming[] {
  const offset = clockOffset(recording);
  return steps.flatMap((step) => {
    const save = registersOf(step, 1);
    const other = registersOf(step, 0);
    const arm = linesOf(step, 'hrtimer_start').find(({ args }) => args.includes('function=kvm_bg_timer_expire'));
    if (step.kind !== 'put' || save === undefined || arm === undefined || !canFire(save) || canFire(other)) return [];
    const expires = Number(/expires=(\d+)/.exec(arm.args)?.[1]);
    return expires > timeOf(arm) - offset + 1e6 ? [{ put: step, arm, save, expires }] : [];
  });
}

/** Armings in the middle of threads that have many, on hosts where no emulated timer can be the reason. */
function middleArmings(recording: Recording): Arming[] {
  if (recording.host !== 'vhe') return [];
  return [...recording.steps.values()].flatMap((steps) => {
    const found = armings(recording, steps);
    if (found.length < 60) return [];
    return found.slice(Math.floor(found.length * 0.45), Math.ceil(found.length * 0.55));
  });
}

function moved(by: number) {
  return ({ arm, expires }: Arming): Site => ({
    place: arm,
    inject(edit) {
      const at = String(expires + by);
      return edit.replace(
        arm,
        withArg(withArg(arm, /\bexpires=\d+/, `expires=${at}`), /softexpires=\d+/, `softexpires=${at}`),
      );
    },
  });
}

/** Loads of a restored deadline, before or after it, and what they report of the vtimer's level. */
function loadReports(recording: Recording, isAfter: boolean): Site[] {
  if (recording.host !== 'vhe') return [];
  const offset = clockOffset(recording);
  return [...recording.steps.values()].flatMap((steps) => {
    const all = armings(recording, steps);
    if (all.length < 60) return [];
    const deadlines = new Map(all.map(({ save, expires }) => [registers(save).cval, expires + offset]));
    const places = steps.slice(Math.floor(steps.length * 0.4), Math.ceil(steps.length * 0.6));
    return places.flatMap((step) => {
      const restore = step.kind === 'load' ? registersOf(step, 1) : undefined;
      const deadline = restore === undefined ? undefined : deadlines.get(registers(restore).cval);
      const [update, inject] = ['kvm_timer_update_irq', 'vgic_update_irq_pending'].map((event) =>
        linesOf(step, event).find(({ args }) =>
          args.includes(`IRQ 27, level${event.startsWith('vgic') ? ':' : ''} ${isAfter ? 1 : 0}`),
        ),
      );
      const map = linesOf(step, 'kvm_get_timer_map')[0];
      if (
        restore === undefined ||
        deadline === undefined ||
        update === undefined ||
        inject === undefined ||
        map === undefined
      )
        return [];
      const distance = isAfter ? timeOf(map) - deadline : deadline - timeOf(update);
      if (!canFire(restore) || distance < 1e6) return [];
      return [
        {
          place: update,
          inject(edit) {
            edit.replace(inject, withLevel(inject, isAfter ? 0 : 1));
            return edit.replace(update, withLevel(update, isAfter ? 0 : 1));
          },
        } satisfies Site,
      ];
    });
  });
}

export const timingFaults: readonly Fault[] = [
  {
    id: 'bg-armed-late',
    does: 'the background timer is armed ten milliseconds after the deadline',
    rules: ['bg-deadline-matches-cval'],
    diagnosis: 'late',
    sites: (recording) => middleArmings(recording).map(moved(10_000_000)),
  },
  {
    id: 'bg-armed-early',
    does: 'the background timer is armed half a millisecond before the deadline',
    rules: ['bg-deadline-matches-cval'],
    diagnosis: 'early',
    sites: (recording) => middleArmings(recording).map(moved(-500_000)),
  },
  {
    id: 'bg-not-armed',
    does: 'a vcpu goes to sleep with a timer that can fire, and nothing is armed',
    rules: ['bg-armed-when-needed'],
    diagnosis: 'not-armed',
    sites: (recording) =>
      [...recording.steps.values()].flatMap((steps) =>
        armings(recording, steps).flatMap(({ put, arm, save }) => {
          const out = steps[steps.indexOf(put) - 1];
          const sleeps = out?.kind === 'out' && out.lines.some(({ args }) => args.includes('prev_state=S'));
          const next = steps.slice(steps.indexOf(put)).find(({ kind }) => kind === 'woken' || kind === 'out');
          if (!sleeps || next?.kind !== 'woken') return [];
          const site: Site = {
            place: arm,
            inject(edit) {
              edit.remove(arm);
              return save;
            },
          };
          return [site];
        }),
      ),
  },
  {
    id: 'level-low-after-deadline',
    does: 'a load reports level 0 more than a millisecond after the deadline',
    rules: ['expired-timer-asserted'],
    diagnosis: 'low-at-load',
    sites: (recording) => loadReports(recording, true),
  },
  {
    id: 'level-high-before-deadline',
    does: 'a load reports level 1 more than a millisecond before the deadline',
    rules: ['level-true-only-if-expired'],
    diagnosis: 'before-deadline',
    sites: (recording) => loadReports(recording, false),
  },
  {
    id: 'istatus-before-deadline',
    does: 'a put saves ISTATUS more than a millisecond before the deadline, as with another CNTVOFF',
    rules: ['timer-not-early'],
    diagnosis: 'istatus-early',
    sites: (recording) =>
      middleArmings(recording).map(({ save }) => ({
        place: save,
        inject(edit) {
          return edit.replace(save, withCtl(save, 5));
        },
      })),
  },
];
