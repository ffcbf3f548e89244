import type { Fault, Site } from './fault.js';
import { copy, type Line, recordLike, withCpu, withTime } from './inject.js';
import { inRounds, sequences } from './sites.js';
import { first, last, linesOf, type Recording, type Round, registersOf } from './structure.js';

// Faults of the order of load, put, entry, exit and sched_switch.

/** The load burst of a round, from its probes to its last restore; soft timers after it are left alone. */
function loadLines(round: Round): readonly Line[] {
  return round.load.lines;
}

/** The next load on the CPU of any vcpu, or of the vcpu anywhere: what a put that is missing collides with. */
function nextLoad(recording: Recording, round: Round): Line {
  const loads = [...recording.steps.values()]
    .flat()
    .filter(({ kind, cpu, thread }) => kind === 'load' && (cpu === round.put.cpu || thread === round.put.thread));
  const after = loads.map(last).filter((line) => recording.at(line) > recording.endOf(round.put));
  return after.sort((a, b) => recording.at(a) - recording.at(b))[0] as Line;
}

/** Rounds whose vcpu enters and exits once more before anything else happens to it, on the CPU of the load. */
function steady(round: Round): boolean {
  return round.entry.cpu === round.load.cpu && round.exit.cpu === round.entry.cpu;
}

export const lifecycleFaults: readonly Fault[] = [
  {
    id: 'put-removed',
    does: 'the whole put burst is missing after the switch',
    rules: ['loaded-owns-cntv-ctl', 'load-put-alternate', 'one-vcpu-per-cpu', 'one-cpu-per-vcpu'],
    sites: (recording) =>
      inRounds(recording, (round) => ({
        place: first(round.put),
        inject(edit) {
          edit.remove(...round.put.lines);
          return [first(round.out), nextLoad(recording, round)];
        },
      })),
  },
  {
    id: 'load-removed',
    does: 'the whole load burst is missing before an entry',
    rules: ['entry-only-when-loaded'],
    sites: (recording) =>
      inRounds(recording, (round) => ({
        place: first(round.load),
        inject(edit) {
          edit.remove(...loadLines(round));
          return first(round.entry);
        },
      })),
  },
  {
    id: 'put-in-guest',
    does: 'a put burst is moved from after the exit to between entry and exit',
    rules: ['no-put-in-guest'],
    sites: (recording) =>
      sequences(recording, 'entry', 'exit', 'out', 'put').map(([entry, , , put]) => ({
        place: first(put!),
        inject(edit) {
          edit.remove(...put!.lines);
          const moved = edit.after(last(entry!), ...put!.lines.map(copy));
          return [moved[0] as Line, moved[moved.length - 1] as Line];
        },
      })),
  },
  {
    id: 'switch-in-guest',
    does: 'the sched_switch away from the vcpu thread is moved to between entry and exit',
    rules: ['no-put-in-guest'],
    sites: (recording) =>
      sequences(recording, 'entry', 'exit', 'out', 'put').map(([entry, , out]) => ({
        place: first(out!),
        inject(edit) {
          edit.remove(first(out!));
          return edit.after(last(entry!), copy(first(out!)))[0] as Line;
        },
      })),
  },
  {
    id: 'entry-before-restore',
    does: 'an entry is moved to directly before the restore of the vtimer',
    rules: ['entry-only-when-loaded'],
    sites: (recording) =>
      inRounds(recording, (round) => {
        const restore = registersOf(round.load, 1);
        if (restore === undefined) return undefined;
        return {
          place: restore,
          inject(edit) {
            edit.remove(first(round.entry));
            return edit.before(restore, copy(first(round.entry)))[0] as Line;
          },
        };
      }),
  },
  {
    id: 'entry-without-load',
    does: 'an entry and an exit of a vcpu are inserted after its put',
    rules: ['entry-only-when-loaded'],
    diagnosis: 'not-loaded',
    // The background timer may be armed then, and a guest that took no time looks like a clock that stood still.
    limit: { rules: 3 },
    sites: (recording) =>
      inRounds(recording, (round) => ({
        place: last(round.put),
        inject(edit) {
          const lines = [round.entry, round.exit].map((step) => withCpu(first(step), round.put.cpu));
          return edit.after(last(round.put), ...lines)[0] as Line;
        },
      })),
  },
  {
    id: 'entry-duplicated',
    does: 'an entry is recorded twice',
    rules: ['entry-exit-alternate'],
    diagnosis: 'entry-in-guest',
    sites: (recording) =>
      inRounds(recording, (round) => ({
        place: first(round.entry),
        inject: (edit) => edit.after(first(round.entry), copy(first(round.entry)))[0] as Line,
      })),
  },
  {
    id: 'exit-removed',
    does: 'the exit between two entries is missing',
    // A probe of the waiting hooks between the two entries is the first record that cannot be in the guest.
    rules: ['entry-exit-alternate', 'no-put-in-guest'],
    // Without the first one of all, exits may have been switched on late.
    sites: (recording) =>
      sequences(recording, 'entry', 'exit', 'entry')
        .slice(1)
        .map(([entry, exit, again]) => ({
          place: first(exit!),
          inject(edit) {
            edit.remove(first(exit!));
            return [first(entry!), first(again!)];
          },
        })),
  },
  {
    id: 'exit-removed-before-switch',
    does: 'the exit between an entry and a switch to another thread is missing',
    // WFI handling, the hooks of blocking and the switch follow it: the first of them cannot be in the guest.
    rules: ['no-put-in-guest'],
    sites: (recording) =>
      sequences(recording, 'entry', 'exit', 'out').flatMap(([, exit, out]) => {
        const removed = first(exit!);
        const from = recording.next(recording.at(removed), ({ pid }) => pid === removed.pid);
        if (from === undefined) return [];
        return [
          {
            place: removed,
            inject(edit) {
              edit.remove(removed);
              return [from, first(out!)];
            },
          } satisfies Site,
        ];
      }),
  },
  {
    id: 'exit-duplicated',
    does: 'an exit is recorded twice',
    rules: ['entry-exit-alternate'],
    diagnosis: 'exit-outside',
    sites: (recording) =>
      inRounds(recording, (round) => ({
        place: first(round.exit),
        inject: (edit) => edit.after(first(round.exit), copy(first(round.exit)))[0] as Line,
      })),
  },
  {
    id: 'exit-elsewhere',
    does: 'an exit is recorded on another CPU than the entry',
    rules: ['entry-exit-alternate'],
    diagnosis: 'exit-elsewhere',
    sites: (recording) =>
      recording.cpus < 2
        ? []
        : inRounds(recording, (round) => {
            if (!steady(round)) return undefined;
            const exit = first(round.exit);
            return {
              place: exit,
              inject: (edit) => edit.replace(exit, withCpu(exit, (exit.cpu + 1) % recording.cpus)),
            };
          }),
  },
  {
    id: 'save-elsewhere',
    does: 'the saves of a put are recorded on another CPU than the load',
    rules: ['state-access-on-load-cpu', 'loaded-owns-cntv-ctl'],
    sites: (recording) =>
      recording.cpus < 2
        ? []
        : inRounds(recording, (round) => {
            const saves = linesOf(round.put, 'kvm_timer_save_state');
            if (saves.length === 0) return undefined;
            return {
              place: saves[0] as Line,
              inject(edit) {
                const moved = saves.map((save) =>
                  edit.replace(save, withCpu(save, (round.put.cpu + 1) % recording.cpus)),
                );
                // The put on the load's CPU is the one that has no save.
                return [first(round.out), moved[0] as Line];
              },
            };
          }),
  },
  {
    id: 'second-vcpu-loaded',
    does: 'the coming load of a vcpu that is out is inserted on a CPU where another one is loaded, after its exit',
    rules: ['one-vcpu-per-cpu', 'loaded-owns-cntv-ctl'],
    sites: (recording) =>
      inRounds(recording, (round) => {
        // The other vcpu: one whose next step after this exit is its load.
        const exit = first(round.exit);
        const at = recording.at(exit);
        for (const [thread, steps] of recording.steps) {
          if (thread === round.exit.thread || recording.loadedOn(thread, at) !== -1) continue;
          const load = steps.find((step) => recording.at(step) > at && step.kind === 'load');
          if (load === undefined) continue;
          return {
            place: exit,
            inject(edit) {
              const inserted = edit.after(exit, ...load.lines.map((line) => withCpu(line, exit.cpu)));
              return [inserted[0] as Line, inserted[inserted.length - 1] as Line];
            },
          };
        }
        return undefined;
      }),
  },
  {
    id: 'second-cpu',
    does: 'a load of a vcpu is repeated on a second, free CPU while it is loaded on the first, after its exit',
    // Without a probe the load shows first by the level that it computes.
    rules: ['one-cpu-per-vcpu', 'load-put-alternate', 'state-access-on-load-cpu'],
    // Up to 5.0 the active state is then looked for on the second CPU.
    limit: { rules: 3 },
    sites: (recording) =>
      inRounds(recording, (round) => {
        if (!steady(round)) return undefined;
        const exit = first(round.exit);
        const at = recording.at(exit);
        const taken = [...recording.steps.keys()].map((thread) => recording.loadedOn(thread, at));
        const cpu = Array.from({ length: recording.cpus }, (_, i) => i).find((i) => !taken.includes(i));
        if (cpu === undefined || taken.includes(undefined)) return undefined;
        return {
          place: exit,
          inject(edit) {
            const inserted = edit.after(exit, ...loadLines(round).map((line) => withCpu(line, cpu)));
            return [inserted[0] as Line, inserted[inserted.length - 1] as Line];
          },
        };
      }),
  },
  {
    id: 'put-probe-removed',
    does: 'the probe of kvm_arch_vcpu_put is missing, and so is that of kvm_timer_vcpu_put',
    rules: ['load-put-alternate', 'one-vcpu-per-cpu', 'one-cpu-per-vcpu', 'save-requires-restore'],
    sites: (recording) =>
      inRounds(recording, (round) => {
        const probes = [...linesOf(round.put, 'vcpu_put'), ...linesOf(round.put, 'timer_put')];
        if (probes.length < 2) return undefined;
        return {
          place: probes[0] as Line,
          inject(edit) {
            edit.remove(...probes);
            return [first(round.out), nextLoad(recording, round)];
          },
        };
      }),
  },
  {
    id: 'put-probe-duplicated',
    does: 'kvm_arch_vcpu_put runs again directly after a put',
    rules: ['load-put-alternate'],
    diagnosis: 'put-while-out',
    sites: (recording) =>
      inRounds(recording, (round) => {
        const probe = linesOf(round.put, 'vcpu_put')[0];
        if (probe === undefined) return undefined;
        return { place: probe, inject: (edit) => edit.after(last(round.put), copy(probe))[0] as Line };
      }),
  },
  {
    id: 'load-probe-duplicated',
    does: 'kvm_arch_vcpu_load runs again before an entry',
    rules: ['load-put-alternate'],
    diagnosis: 'load-while-loaded',
    sites: (recording) =>
      inRounds(recording, (round) => {
        const probe = linesOf(round.load, 'vcpu_load')[0];
        if (probe === undefined || !steady(round)) return undefined;
        return {
          place: probe,
          inject: (edit) => edit.before(first(round.entry), withTime(probe, first(round.entry).time))[0] as Line,
        };
      }),
  },
  {
    id: 'reset-ignored',
    does: 'a reset (probe of kvm_timer_vcpu_reset) directly before a load whose restore enables the timer',
    rules: ['reset-clears-timer'],
    sites: (recording) =>
      inRounds(recording, (round) => {
        const pointer = vcpuPointer(recording, round.load.thread);
        const restore = registersOf(round.load, 1);
        if (pointer === undefined || restore === undefined || !/CTL: 0x0*[15] /.test(restore.args)) return undefined;
        const place = first(round.load);
        return {
          place,
          inject(edit) {
            edit.before(place, recordLike(place, 'timer_vcpu_reset', `(kvm_timer_vcpu_reset+0x0/0x100) ${pointer}`));
            return [first(round.load), restore];
          },
        };
      }),
  },
];

/** `vcpu=… id=…` as the probes of a thread print it. */
function vcpuPointer(recording: Recording, thread: number): string | undefined {
  const probe = recording.lines.find((line) => line.pid === thread && line.event === 'vcpu_load');
  return /vcpu=\w+ id=\d+/.exec(probe?.args ?? '')?.[0];
}
