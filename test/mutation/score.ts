import type { TimerEvent } from '../../src/events/event.js';
import { Kind, kindNames } from '../../src/events/kinds.js';
import type { Call, Design, Operate } from '../../src/models/design.js';
import { episodesOf, hostsOf } from './driver/index.js';
import type { Episode } from './driver/stage.js';
import { type Mutant, mutantsOf } from './mutants.js';
import { judge, type Played, play } from './trial.js';

/**
 * What became of a mutant: a rule named it; the kernel itself stopped (BUG_ON, a NULL pointer, a loop); no run came to its
 * place; every trace is the same, so that no rule can tell; or its traces differ and no rule says so.
 */
export type Fate = 'rule' | 'kernel' | 'not executed' | 'same' | 'unnoticed';

export interface Score {
  readonly mutant: Mutant;
  readonly fate: Fate;
  /** Rule and diagnosis, what the kernel stopped at, or how the trace differs first. */
  readonly detail: string;
}

/** Whether two events say the same, times and deadlines aside. */
function same(a: TimerEvent, b: TimerEvent | undefined): boolean {
  return (
    b !== undefined &&
    a.kind === b.kind &&
    a.cpu === b.cpu &&
    a.pid === b.pid &&
    a.vm === b.vm &&
    a.vcpuId === b.vcpuId &&
    a.timer === b.timer &&
    a.level === b.level &&
    a.ctl === b.ctl &&
    a.cvalLo === b.cvalLo &&
    a.valueLo === b.valueLo &&
    a.register === b.register &&
    a.exitCode === b.exitCode
  );
}

/** The first event that another trace has not at its place, the length where there is none; -1 where both are the same. */
function firstDifference(events: readonly TimerEvent[], others: readonly TimerEvent[]): number {
  const at = events.findIndex((event, index) => !same(event, others[index]));
  return at < 0 && events.length !== others.length ? events.length : at;
}

type Done = ReadonlySet<Operate | Call>;

interface Baseline {
  readonly episode: Episode;
  readonly host: ReturnType<typeof hostsOf>[number];
  readonly name: string;
  readonly events: readonly TimerEvent[];
  readonly findings: ReadonlyMap<string, number>;
}

/** Two mutants often record the same: such a trace is judged once. */
type Judged = Map<string, ReadonlyMap<string, number>>;

/** Tells traces apart, times included. */
function digest(events: readonly TimerEvent[]): string {
  let [a, b] = [17, 31];
  const mix = (value: number) => {
    a = (Math.imul(a, 0x01000193) ^ value) | 0;
    b = (Math.imul(b ^ value, 0x85ebca6b) + 0x9e37) | 0;
  };
  for (const event of events) {
    mix(event.kind);
    mix(event.time);
    mix(event.cpu);
    mix(event.pid);
    mix(event.vm * 16 + event.vcpuId);
    mix(event.timer * 64 + event.level * 16 + event.ctl);
    mix(event.cvalLo);
    mix(event.valueLo);
    mix(event.register);
    mix(event.expires);
    mix(event.exitCode);
  }
  return `${events.length} ${a} ${b}`;
}

function findingsOf(
  { events }: Played,
  design: Design,
  host: Baseline['host'],
  judged: Judged,
): ReadonlyMap<string, number> {
  const key = `${host.host} ${digest(events)}`;
  const known = judged.get(key);
  if (known !== undefined) return known;
  const counts = new Map<string, number>();
  for (const { rule, diagnosis, count, severity } of judge(events, design.id, host).findings) {
    // A known bug of the generation: a kernel of it shows that as well, and may show it more often.
    if (severity === 'info') continue;
    const name = `${rule}: ${diagnosis}`;
    counts.set(name, (counts.get(name) ?? 0) + count);
  }
  judged.set(key, counts);
  return counts;
}

function baselinesOf(design: Design, done: Set<Operate | Call>, judged: Judged): Baseline[] {
  const sink = { effect: (effect: Operate | Call) => done.add(effect) };
  return hostsOf(design).flatMap((host) =>
    episodesOf(host).map(([name, episode]) => {
      const played = play(design, host, episode, sink);
      if (played.bug !== undefined) throw new Error(`${design.id}: ${played.bug}`);
      return { name, episode, host, events: played.events, findings: findingsOf(played, design, host, judged) };
    }),
  );
}

function score(mutant: Mutant, design: Design, baselines: readonly Baseline[], done: Done, judged: Judged): Score {
  let bug: string | undefined;
  let differs: string | undefined;
  for (const baseline of baselines) {
    const played = play(mutant.design, baseline.host, baseline.episode);
    bug ??= played.bug;
    const at = firstDifference(played.events, baseline.events);
    if (at < 0) continue;
    const { kind } = played.events[at] ?? { kind: Kind.lost };
    differs ??= `${baseline.host.host}, ${baseline.name}: ${at < played.events.length ? kindNames[kind] : 'the end'} at ${at + 1}`;
    for (const [key, count] of findingsOf(played, design, baseline.host, judged))
      if (count > (baseline.findings.get(key) ?? 0)) return { mutant, fate: 'rule', detail: key };
  }
  if (bug !== undefined) return { mutant, fate: 'kernel', detail: bug };
  if (differs === undefined) return { mutant, fate: done.has(mutant.broken) ? 'same' : 'not executed', detail: '' };
  return { mutant, fate: 'unnoticed', detail: differs };
}

/** Tries every mutant of a design. */
export function scores(design: Design): Score[] {
  const done = new Set<Operate | Call>();
  const judged: Judged = new Map();
  const baselines = baselinesOf(design, done, judged);
  return mutantsOf(design).map((mutant) => score(mutant, design, baselines, done, judged));
}
