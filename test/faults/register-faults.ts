import type { Fault, Site } from './fault.js';
import { copy, exceptionClass, type Line, level, registers, withCtl, withCval, withLevel } from './inject.js';
import { inRounds, loadLevel, sequences } from './sites.js';
import { first, isDecidable, last, linesOf, type Recording, type Round, registersOf } from './structure.js';

// Faults of the saved and restored registers, and of the level that a load computes from them.

const vtimer = 1;
const ptimer = 0;

/** Where the put of a round shows at the latest: the restore of the load that follows it. */
function putWindow(round: Round): readonly [Line, Line] {
  return [first(round.out), last(round.load)];
}

function saveRemoved(timer: number): Fault['sites'] {
  return (recording) =>
    inRounds(recording, (round) => {
      const save = registersOf(round.put, timer);
      if (save === undefined) return undefined;
      return {
        place: save,
        inject(edit) {
          edit.remove(save);
          return putWindow(round);
        },
      };
    });
}

function restoreRemoved(timer: number): Fault['sites'] {
  return (recording) =>
    inRounds(recording, (round) => {
      const restore = registersOf(round.load, timer);
      if (restore === undefined) return undefined;
      return {
        place: restore,
        inject(edit) {
          edit.remove(restore);
          return first(round.entry);
        },
      };
    });
}

/** Edits the vtimer's restore of rounds that decide it; `change` gives undefined where it would change nothing. */
function restoreChanged(change: (restore: Line, save: Line, recording: Recording) => Line | undefined): Fault['sites'] {
  return (recording) =>
    inRounds(recording, (round) => {
      const save = registersOf(round.put, vtimer);
      const restore = registersOf(round.load, vtimer);
      if (save === undefined || restore === undefined || !isDecidable(round)) return undefined;
      const changed = change(restore, save, recording);
      if (changed === undefined) return undefined;
      return { place: restore, inject: (edit) => edit.replace(restore, changed) };
    });
}

/** The last saved CVAL of the thread before a save that differs from it. */
function olderCval(save: Line, recording: Recording): bigint | undefined {
  const { cval } = registers(save);
  for (let i = (recording.index.get(save) ?? 0) - 1; i >= 0; i--) {
    const line = recording.lines[i] as Line;
    if (line.event !== 'kvm_timer_save_state' || line.pid !== save.pid) continue;
    const older = registers(line);
    if (older.timer === vtimer && older.cval !== cval) return older.cval;
  }
  return undefined;
}

/** Rounds whose load is followed by the next put without an entry: load, out, put. */
function putsWithoutEntry(recording: Recording, timer: number): { save: Line; next: Line | undefined }[] {
  return [...recording.steps.values()].flatMap((all) => {
    const steps = all.filter(({ kind }) => !['wait', 'woken', 'other', 'out', 'in'].includes(kind));
    return steps.flatMap((step, i) => {
      if (step.kind !== 'put' || steps[i - 1]?.kind !== 'load') return [];
      const save = registersOf(step, timer);
      const next = steps[i + 1]?.kind === 'load' ? registersOf(steps[i + 1]!, timer) : undefined;
      return save === undefined ? [] : [{ save, next }];
    });
  });
}

function duplicated(event: 'put' | 'load', timer: number): Fault['sites'] {
  return (recording) =>
    inRounds(recording, (round) => {
      const line = registersOf(round[event], timer);
      if (line === undefined) return undefined;
      return { place: line, inject: (edit) => edit.after(line, copy(line))[0] as Line };
    });
}

/** Whether the level was raised between the last entry of the thread and a save, which the save's CTL then bears out. */
function raisedSinceEntry(recording: Recording, save: Line): boolean {
  for (let i = (recording.index.get(save) ?? 0) - 1; i >= 0; i--) {
    const line = recording.lines[i] as Line;
    if (line.pid !== save.pid) continue;
    if (line.event === 'kvm_entry') return false;
    if (line.event === 'kvm_timer_update_irq' && level(line).level === 1) return true;
  }
  return false;
}

export const registerFaults: readonly Fault[] = [
  {
    id: 'vtimer-save-removed',
    does: 'the put does not save the vtimer',
    rules: ['loaded-owns-cntv-ctl'],
    diagnosis: 'put-without-save',
    sites: saveRemoved(vtimer),
  },
  {
    id: 'ptimer-save-removed',
    does: 'the put on VHE does not save the ptimer',
    rules: ['loaded-owns-cntv-ctl'],
    diagnosis: 'put-without-save',
    sites: saveRemoved(ptimer),
  },
  {
    id: 'vtimer-restore-removed',
    does: 'the load does not restore the vtimer',
    rules: ['entry-only-when-loaded'],
    sites: restoreRemoved(vtimer),
  },
  {
    id: 'ptimer-restore-removed',
    does: 'the load on VHE does not restore the ptimer',
    rules: ['entry-only-when-loaded'],
    diagnosis: 'not-restored',
    sites: restoreRemoved(ptimer),
  },
  {
    id: 'restore-cval-plus-one',
    does: 'a restore writes CVAL plus one',
    rules: ['restore-equals-last-save'],
    diagnosis: 'cval-changed',
    sites: restoreChanged((restore) => withCval(restore, registers(restore).cval + 1n)),
  },
  {
    id: 'restore-cval-stale',
    does: 'a restore writes the CVAL of an older save',
    rules: ['restore-equals-last-save'],
    diagnosis: 'stale-restore',
    sites: restoreChanged((restore, save, recording) => {
      const cval = olderCval(save, recording);
      return cval === undefined ? undefined : withCval(restore, cval);
    }),
  },
  {
    id: 'restore-ctl-zeroed',
    does: 'a restore writes CTL 0 for a timer that was enabled',
    rules: ['restore-equals-last-save'],
    sites: restoreChanged((restore) => ((registers(restore).ctl & 3) === 0 ? undefined : withCtl(restore, 0))),
  },
  {
    id: 'restore-enable-flipped',
    does: 'a restore writes CTL with ENABLE inverted',
    rules: ['restore-equals-last-save'],
    sites: restoreChanged((restore) => withCtl(restore, registers(restore).ctl ^ 1)),
  },
  {
    id: 'save-changed-without-entry',
    does: 'a save with no entry since the restore has another CVAL, and the next restore has it too',
    rules: ['save-without-entry-equals-restore'],
    diagnosis: 'cval-changed',
    sites: (recording) =>
      putsWithoutEntry(recording, vtimer).map(({ save, next }) => ({
        place: save,
        inject(edit) {
          const { cval } = registers(save);
          if (next !== undefined && registers(next).cval === cval) edit.replace(next, withCval(next, cval + 1n));
          return edit.replace(save, withCval(save, cval + 1n));
        },
      })),
  },
  {
    id: 'vtimer-save-duplicated',
    does: 'a put saves the vtimer twice',
    rules: ['save-requires-restore'],
    diagnosis: 'save-while-saved',
    sites: duplicated('put', vtimer),
  },
  {
    id: 'vtimer-restore-duplicated',
    does: 'a load restores the vtimer twice',
    rules: ['save-requires-restore'],
    diagnosis: 'restore-while-loaded',
    sites: duplicated('load', vtimer),
  },
  {
    id: 'ptimer-restore-duplicated',
    does: 'a load on VHE restores the ptimer twice',
    rules: ['save-requires-restore'],
    diagnosis: 'restore-while-loaded',
    sites: duplicated('load', ptimer),
  },
  {
    id: 'ctl-reserved-bit',
    does: 'a save has a reserved bit of CTL',
    rules: ['ctl-bits-valid'],
    info: true,
    sites: (recording) =>
      inRounds(recording, (round) => {
        const save = registersOf(round.put, vtimer);
        if (save === undefined) return undefined;
        return { place: save, inject: (edit) => edit.replace(save, withCtl(save, registers(save).ctl | 0x10)) };
      }),
  },
  {
    id: 'level-raised-while-masked',
    does: 'a load reports level 1 although the saved and restored timer is masked',
    rules: ['level-true-only-if-can-fire'],
    sites: (recording) =>
      inRounds(recording, (round) => {
        const reported = loadLevel(round, 27, 1);
        const save = registersOf(round.put, vtimer);
        const restore = registersOf(round.load, vtimer);
        if (reported === undefined || save === undefined || restore === undefined) return undefined;
        // A save with no entry since its restore must carry what was restored.
        if (!isDecidable(round) || round.previous.kind !== 'exit') return undefined;
        if (raisedSinceEntry(recording, save)) return undefined;
        return {
          place: reported.update,
          inject(edit) {
            edit.replace(save, withCtl(save, registers(save).ctl | 2));
            edit.replace(restore, withCtl(restore, registers(restore).ctl | 2));
            return reported.update;
          },
        };
      }),
  },
  {
    id: 'level-raised-while-disabled',
    does: 'a load reports and injects level 1 although the saved and restored timer is disabled',
    rules: ['level-true-only-if-can-fire'],
    sites: (recording) =>
      inRounds(recording, (round) => {
        const reported = loadLevel(round, 27, 0);
        const restore = registersOf(round.load, vtimer);
        // Where the active state is recorded, level 1 with an inactive interrupt would be a second fault.
        if (reported === undefined || restore === undefined || recording.has('irqchip_state')) return undefined;
        if ((registers(restore).ctl & 1) === 1 || !isDecidable(round)) return undefined;
        return {
          place: reported.update,
          inject(edit) {
            edit.replace(reported.inject, withLevel(reported.inject, 1));
            return edit.replace(reported.update, withLevel(reported.update, 1));
          },
        };
      }),
  },
  // --- nothing may be violated where the recording does not decide ---------
  {
    id: 'undecided-cval-after-userspace-exit',
    does: 'a restore after a return to userspace, which may have written CVAL, has another CVAL',
    rules: [],
    sites: (recording) =>
      recording.has('set_reg')
        ? []
        : [...recording.steps.values()].flatMap((all) => {
            const steps = all.filter(({ kind }) => !['wait', 'woken', 'other', 'out', 'in'].includes(kind));
            const order = ['put', 'user', 'load', 'entry'];
            return steps.flatMap((_, i) => {
              const found = steps.slice(i, i + order.length);
              if (found.length < order.length || !found.every(({ kind }, k) => kind === order[k])) return [];
              const restore = registersOf(found[2]!, vtimer);
              if (restore === undefined) return [];
              return [{ place: restore, inject: (edit) => changeCval(edit, restore) } satisfies Site];
            });
          }),
  },
  {
    id: 'undecided-cval-after-access',
    does: 'the timer-only load after a trapped register access, which may have been one of CVAL, has another CVAL',
    rules: [],
    sites: (recording) =>
      sequences(recording, 'exit', 'both', 'entry').flatMap(([exit, both]) => {
        const restores = linesOf(both!, 'kvm_timer_restore_state').filter((line) => registers(line).timer === vtimer);
        const trapped = exceptionClass(first(exit!)) === 0x18;
        const restore = restores[0];
        if (!trapped || restores.length !== 1 || restore === undefined) return [];
        const site: Site = {
          place: restore,
          inject(edit) {
            // Which register it was is not to be known.
            edit.remove(...recording.lines.filter(({ event }) => event === 'kvm_sys_access'));
            return changeCval(edit, restore);
          },
        };
        return [site];
      }),
  },
  {
    id: 'undecided-first-restore',
    does: 'the first restore of a vcpu in the recording has another CVAL: what was saved is not known',
    rules: [],
    anywhere: true,
    sites: (recording) =>
      [...recording.steps.values()].flatMap((steps) => {
        const i = steps.findIndex(({ kind }) => kind === 'put' || kind === 'load' || kind === 'both');
        const load = steps[i];
        const next = steps.slice(i + 1).find(({ kind }) => kind !== 'wait' && kind !== 'woken' && kind !== 'other');
        const restore = load?.kind === 'load' && next?.kind === 'entry' ? registersOf(load, vtimer) : undefined;
        if (restore === undefined) return [];
        return [{ place: restore, inject: (edit) => changeCval(edit, restore) } satisfies Site];
      }),
  },
  {
    id: 'undecided-cval-after-entry',
    does: 'a save after an entry, and the restore that follows, have another CVAL: the guest may have written it',
    rules: [],
    sites: (recording) =>
      inRounds(recording, (round) => {
        const save = registersOf(round.put, vtimer);
        const restore = registersOf(round.load, vtimer);
        if (save === undefined || restore === undefined || round.previous.kind !== 'exit') return undefined;
        if (registers(save).cval !== registers(restore).cval) return undefined;
        return {
          place: save,
          inject(edit) {
            changeCval(edit, save);
            return changeCval(edit, restore);
          },
        };
      }),
  },
];

function changeCval(edit: Parameters<Site['inject']>[0], line: Line): Line {
  return edit.replace(line, withCval(line, registers(line).cval + 1n));
}
