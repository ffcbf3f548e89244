import type { Fault, Site } from './fault.js';
import { copy, type Edit, hrtimer, type Line, level, recordLike, registers } from './inject.js';
import { loadLevel } from './sites.js';
import { first, last, linesOf, type Recording, type Round, registersOf } from './structure.js';

// Faults of what should happen and does not: a wakeup, an entry, a soft timer.

/** What does not come within so many seconds is missing; the default bound is 0.1. */
const never = 0.15;

const isBackground = ({ args }: Line) => /function=kvm_(bg_)?timer_expire\b/.test(args);
const isSoft = ({ args }: Line) => args.includes('kvm_hrtimer_expire');

const threadIn = (line: Line, which: 'prev' | 'next') =>
  Number(new RegExp(`${which}_pid=(\\d+)`).exec(line.args)?.[1] ?? -1);

/** The same record with the idle task in the place of the thread that wrote it. */
function byIdle(line: Line, args = line.args): Line {
  const head = line.head.replace(/^\s*.*?-\d+(?=\s)/, '          <idle>-0');
  return recordLike({ ...line, head }, line.event, args);
}

/** A switch to or from a thread, with the idle task in its place; undefined for one between the two. */
function withoutThread(line: Line, thread: number): Line | undefined {
  const [before = '', after = ''] = line.args.split(' ==> ');
  if (threadIn(line, 'prev') === thread)
    return threadIn(line, 'next') === 0 ? undefined : byIdle(line, `${idle(line, 'prev')} prev_state=R ==> ${after}`);
  return threadIn(line, 'prev') === 0 ? undefined : recordLike(line, line.event, `${before} ==> ${idle(line, 'next')}`);
}

/** The idle task as one side of a switch names it. */
function idle({ cpu }: Line, side: 'prev' | 'next'): string {
  return `${side}_comm=swapper/${cpu} ${side}_pid=0 ${side}_prio=120`;
}

/** From a line on nothing more is heard of a thread: the idle task stands in its place, and takes the host's interrupts. */
function silence(edit: Edit, recording: Recording, thread: number, from: number): void {
  const { lines } = recording;
  const timers = new Set(
    lines
      .filter((line) => line.pid === thread && line.event === 'hrtimer_start' && (isBackground(line) || isSoft(line)))
      .map(hrtimer),
  );
  /** The thread's vcpu, where probes name it. */
  const own = lines.find(({ pid, event }) => pid === thread && event === 'vcpu_load');
  const vcpu = /vcpu=\w+/.exec(own?.args ?? '')?.[0] ?? 'vcpu=none';
  /** By CPU: the interrupt of a guest timer is being handled, or a callback of the thread's timers. */
  const guestIrq: boolean[] = [];
  const callback: boolean[] = [];
  for (const line of lines.slice(from)) {
    const { cpu, event } = line;
    if (event === 'irq_handler_entry') guestIrq[cpu] = line.pid === thread && line.args.includes('kvm guest');
    if (/^(irq_handler|hrtimer_expire_entry)/.test(event)) callback[cpu] = false;
    if (guestIrq[cpu] === true && recording.inInterrupt(line)) {
      edit.remove(line);
      if (event === 'irq_handler_exit') guestIrq[cpu] = false;
    } else if (timers.has(hrtimer(line))) {
      edit.remove(line);
      callback[cpu] = event === 'hrtimer_expire_entry';
    } else if (callback[cpu] === true && recording.inInterrupt(line)) {
      edit.remove(line);
    } else if (line.event === 'vcpu_wake_up' && line.args.includes(vcpu)) edit.remove(line);
    else if (line.event === 'sched_switch') {
      if (threadIn(line, 'prev') !== thread && threadIn(line, 'next') !== thread) continue;
      const replaced = withoutThread(line, thread);
      if (replaced === undefined) edit.remove(line);
      else edit.replace(line, replaced);
    } else if (/^sched_wak/.test(line.event) && new RegExp(`\\bpid=${thread}\\b`).test(line.args)) edit.remove(line);
    else if (line.pid !== thread) continue;
    else if (!recording.inInterrupt(line)) edit.remove(line);
    else edit.replace(line, byIdle(line));
  }
}

/** Whether every CPU has an idle task that is heard of, for long enough: a CPU of which nothing is may have ended early. */
function showsSilence(recording: Recording, from: number): boolean {
  const { lines } = recording;
  const idle = new Set<number>();
  const heard = new Map<number, number>();
  for (const line of lines.slice(from)) {
    if (line.event === 'sched_switch' && (threadIn(line, 'prev') === 0 || threadIn(line, 'next') === 0))
      idle.add(line.cpu);
    if (line.pid === 0) heard.set(line.cpu, Number(line.time));
  }
  const isLong = Math.min(...heard.values()) - Number(lines[from]?.time) >= never;
  return isLong && heard.size === recording.cpus && idle.size === recording.cpus;
}

/** Fires of background timers that wake their thread. */
function wakingFires(recording: Recording): { fire: Line; thread: number }[] {
  if (!recording.has('sched_switch')) return [];
  const owners = new Map<string, number>();
  const asleep = new Map<number, boolean>();
  const found: { fire: Line; thread: number }[] = [];
  recording.lines.forEach((line, index) => {
    if (line.event === 'sched_switch') {
      asleep.set(Number(/prev_pid=(\d+)/.exec(line.args)?.[1]), line.args.includes('prev_state=S '));
      asleep.set(Number(/next_pid=(\d+)/.exec(line.args)?.[1]), false);
    }
    if (!isBackground(line)) return;
    if (line.event === 'hrtimer_start' && recording.steps.has(line.pid) && !recording.inInterrupt(line))
      owners.set(hrtimer(line), line.pid);
    if (line.event !== 'hrtimer_expire_entry') return;
    const thread = owners.get(hrtimer(line));
    if (thread === undefined || asleep.get(thread) !== true || line.pid === thread) return;
    const rearmed = recording.next(
      index,
      ({ event, args }) => event === 'hrtimer_start' && args.includes(hrtimer(line)),
    );
    if (rearmed !== undefined && rearmed.pid !== thread) return;
    found.push({ fire: line, thread });
  });
  return found;
}

/** Loads inside the wait of a vcpu that find its virtual timer expired. */
function wokenPending(recording: Recording): { round: Round; update: Line }[] {
  return recording.rounds.flatMap((round) => {
    const update = loadLevel(round, 27, 1)?.update;
    const slept = first(round.out).args.includes('prev_state=S ');
    const armed = linesOf(round.put, 'hrtimer_start').some(isBackground);
    const saved = registersOf(round.put, 1);
    const pending = update !== undefined && loadLevel(round, 30, 1) === undefined;
    return pending && slept && armed && saved !== undefined ? [{ round, update }] : [];
  });
}

/** After its load the thread goes to sleep again: the put saves what the load has restored. */
function putAgain({ out, put, load }: Round): Line[] {
  const place = last(load);
  const [before = ''] = first(out).args.split(' ==> ');
  const lines = put.lines.map((line) => {
    const restored = line.event === 'kvm_timer_save_state' ? registersOf(load, registers(line).timer) : undefined;
    return recordLike(place, line.event, restored?.args ?? line.args);
  });
  return [recordLike(place, 'sched_switch', `${before} ==> ${idle(place, 'next')}`), ...lines];
}

/** The thread is switched in after the idle task. */
function inAgain({ in: into, load }: Round): Line {
  const [, after = ''] = first(into).args.split(' ==> ');
  return byIdle(recordLike(last(load), 'sched_switch', `${idle(last(load), 'prev')} prev_state=R ==> ${after}`));
}

/** Evaluations of an emulated timer that arm its soft timer, in the order of their thread. */
interface Evaluation {
  readonly emulate: Line;
  readonly start: Line | undefined;
}

/** By thread: its evaluations and the register accesses and exits to userspace between them (undefined). */
function evaluations(recording: Recording): (Evaluation | undefined)[][] {
  const byThread = new Map<number, (Evaluation | undefined)[]>();
  recording.lines.forEach((line, index) => {
    if (!recording.steps.has(line.pid)) return;
    const own = byThread.get(line.pid) ?? [];
    byThread.set(line.pid, own);
    if (line.event === 'kvm_userspace_exit' || line.event === 'kvm_sys_access') own.push(undefined);
    if (line.event !== 'kvm_timer_emulate') return;
    const next = recording.next(index, ({ pid, event }) => pid === line.pid && !/^(irq|hrtimer_(exp|can))/.test(event));
    own.push({ emulate: line, start: next?.event === 'hrtimer_start' && isSoft(next) ? next : undefined });
  });
  return [...byThread.values()];
}

export const livenessFaults: readonly Fault[] = [
  {
    id: 'wakeup-missing',
    does: 'the background timer of a sleeping vcpu fires, and its thread is never heard of again',
    rules: ['bg-fire-wakes-vcpu'],
    diagnosis: 'not-woken',
    // A probe of the wakeup itself stays, and says that it came.
    sites: (recording) =>
      (recording.has('vcpu_wake_up') || recording.has('vcpu_kick') ? [] : wakingFires(recording))
        .filter(({ fire }) => showsSilence(recording, recording.at(fire)))
        .map(({ fire, thread }) => ({
          place: fire,
          inject(edit) {
            silence(edit, recording, thread, recording.at(fire) + 1);
            return fire;
          },
        })),
  },
  {
    id: 'entry-missing-after-level',
    does: 'a vcpu is woken and loaded with its timer expired, and goes to sleep again for good',
    // Where it has not gone on since the report, it also sleeps with a timer that nothing was armed for.
    rules: ['asserted-level-reaches-guest', 'bg-armed-when-needed'],
    sites: (recording) =>
      wokenPending(recording)
        .filter(({ round }) => showsSilence(recording, recording.endOf(round.load)))
        .map(({ round, update }) => ({
          place: update,
          inject(edit) {
            const end = last(round.load);
            const put = putAgain(round).filter((line) => line.event !== 'hrtimer_start');
            const again = edit.after(end, ...put);
            silence(edit, recording, round.load.thread, recording.at(end) + 1);
            return [update, again[again.length - 1] as Line];
          },
        })),
  },
  {
    id: 'livelock',
    does: 'a vcpu is woken, loaded with its timer expired, put asleep, woken and loaded, for ever',
    rules: ['asserted-level-reaches-guest'],
    diagnosis: 'livelock',
    // Each round is one occurrence.
    limit: { count: 1000 },
    sites: (recording) =>
      wokenPending(recording)
        .filter(({ round }) => showsSilence(recording, recording.endOf(round.load)))
        .flatMap(({ round, update }) => {
          const fire = recording.lines.find((line) => line.event === 'hrtimer_expire_entry' && isBackground(line));
          const start = linesOf(round.put, 'hrtimer_start').find(isBackground);
          if (fire === undefined || start === undefined) return [];
          const { thread } = round.load;
          const end = last(round.load);
          // One round before each record of the idle task on that CPU.
          const places = recording.lines
            .slice(recording.at(end) + 1)
            .filter((line) => line.cpu === end.cpu && line.pid === 0 && line.event !== 'sched_switch')
            .filter((line) => !recording.inInterrupt(line));
          const duration = Number(places[places.length - 1]?.time) - Number(end.time);
          if (places.length < 8 || duration < never) return [];
          const site: Site = {
            place: update,
            inject(edit) {
              edit.after(end, ...putAgain(round));
              for (const line of places) {
                const fired = recordLike(
                  line,
                  'hrtimer_expire_entry',
                  fire.args.replace(/hrtimer=\w+/, `hrtimer=${hrtimer(start)}`),
                );
                edit.before(line, fired, inAgain(round), ...round.load.lines.map(copy), ...putAgain(round));
              }
              silence(edit, recording, thread, recording.at(end) + 1);
              return update;
            },
          };
          return [site];
        }),
  },
  {
    id: 'soft-timer-raises-nothing',
    does: 'the callback of a soft timer reports no level',
    rules: ['soft-timer-follows-emulated-context'],
    diagnosis: 'not-raised',
    sites: (recording) =>
      recording.lines.flatMap((fire, index) => {
        if (fire.event !== 'hrtimer_expire_entry' || !isSoft(fire)) return [];
        const own = (line: Line) => line.cpu === fire.cpu;
        const update = recording.next(index, (line) => own(line) && line.event === 'kvm_timer_update_irq');
        if (update === undefined || level(update).level !== 1 || update.args.includes('IRQ 27')) return [];
        const inject = recording.next(
          recording.at(update),
          (line) => own(line) && line.event === 'vgic_update_irq_pending',
        );
        const exit = recording.next(index, (line) => own(line) && line.event === 'irq_handler_exit');
        if (inject === undefined || exit === undefined || recording.at(exit) < recording.at(inject)) return [];
        const site: Site = {
          place: fire,
          inject(edit) {
            edit.remove(update, inject);
            return fire;
          },
        };
        return [site];
      }),
  },
  {
    id: 'soft-timer-not-cancelled',
    does: 'a put leaves the soft timer armed',
    rules: ['soft-timer-follows-emulated-context'],
    diagnosis: 'left-armed',
    sites: (recording) => {
      const soft = new Set(
        recording.lines.filter((line) => line.event === 'hrtimer_start' && isSoft(line)).map(hrtimer),
      );
      return recording.rounds.flatMap((round) => {
        const cancel = linesOf(round.put, 'hrtimer_cancel').find((line) => soft.has(hrtimer(line)));
        if (cancel === undefined) return [];
        const site: Site = {
          place: cancel,
          inject(edit) {
            edit.remove(cancel);
            return [last(round.put) === cancel ? first(round.put) : last(round.put), first(round.load)];
          },
        };
        return [site];
      });
    },
  },
  {
    id: 'soft-timer-not-armed',
    does: 'an evaluation does not arm the soft timer of an emulated timer that can fire',
    rules: ['soft-timer-follows-emulated-context'],
    diagnosis: 'not-armed',
    sites: (recording) =>
      evaluations(recording).flatMap((own) =>
        own.flatMap((evaluation, i) => {
          const next = own[i + 1];
          if (evaluation?.start === undefined || next === undefined) return [];
          if (evaluation.emulate.args.includes('should_fire: 1')) return [];
          const { emulate, start } = evaluation;
          const after = recording.next(recording.at(start), (line) => line.args.includes(hrtimer(start)));
          if (after?.event !== 'hrtimer_cancel' || recording.at(after) > recording.at(next.emulate)) return [];
          const afterwards = recording.next(recording.at(after), (line) => line.args.includes(hrtimer(start)));
          if (afterwards?.event !== 'hrtimer_start') return [];
          const site: Site = {
            place: emulate,
            inject(edit) {
              edit.remove(start, after);
              return emulate;
            },
          };
          return [site];
        }),
      ),
  },
  {
    id: 'emulated-level-not-reported',
    does: 'an evaluation finds that an emulated timer has expired, and reports nothing',
    rules: ['soft-timer-follows-emulated-context'],
    diagnosis: 'not-reported',
    // Until the next report the level is another one than the last that was told.
    limit: { count: 6 },
    sites: (recording) =>
      recording.rounds.flatMap((round) => {
        const emulate = linesOf(round.load, 'kvm_timer_emulate').find(({ args }) => args.includes('should_fire: 1'));
        const reported = loadLevel(round, 30, 1);
        if (emulate === undefined || reported === undefined) return [];
        if (recording.at(reported.update) < recording.at(emulate)) return [];
        const site: Site = {
          place: emulate,
          inject(edit) {
            edit.remove(reported.update, reported.inject);
            return emulate;
          },
        };
        return [site];
      }),
  },
];
