import { describe, expect, it } from 'vitest';
import type { CheckOptions, TraceSummary } from '../../src/check/facts.js';
import { check } from '../../src/index.js';

const header = 'time,event,vcpu,cpu,timer,ctl,cval,irq,level,next,state,expires,dp\n';

interface Scene {
  /** Virtual count at the trace's time 0. */
  readonly start: bigint;
  readonly sleeps: number;
  /** Hz. */
  readonly frequency?: number;
  /** CLOCK_MONOTONIC less the trace's time, nanoseconds. */
  readonly ahead?: number;
  /** Nanoseconds by which the background timer of a sleep is armed late. */
  readonly late?: (sleep: number) => number;
  /** The same, and the timer then fires as late: at most 900 us. */
  readonly delay?: (sleep: number) => number;
  /** Nanoseconds by which it is armed early: its callback then arms it again. */
  readonly early?: (sleep: number) => number;
  /** Something else ends each sleep at its deadline, and the guest leaves its timer expired. */
  readonly isWoken?: boolean;
  /** The counter was set forward by so much, from a sleep on. */
  readonly shift?: (sleep: number) => bigint;
  readonly facts?: string;
  /** So many vcpus sleep in turn. */
  readonly vcpus?: number;
}

/** A vcpu that sleeps for 10 ms again and again; text in the native notation. */
function trace({
  start,
  sleeps,
  frequency = 62_500_000,
  ahead = 0,
  late,
  delay,
  shift,
  early,
  isWoken = false,
  facts = '',
  vcpus = 1,
}: Scene): string {
  const seconds = (nanoseconds: number) => (nanoseconds / 1e9).toFixed(9);
  let whole = facts + header;
  for (let sleep = 0; sleep < sleeps; sleep++) {
    const begin = 1_000_000 + sleep * 11_000_000;
    const due = begin + 10_000_000;
    const count = start + (BigInt(due) * BigInt(frequency)) / 1_000_000_000n + (shift?.(sleep) ?? 0n);
    const cval = `0x${BigInt.asUintN(64, count).toString(16)}`;
    const fires = due + (delay?.(sleep) ?? 0);
    const before = early?.(sleep) ?? 0;
    const expires = fires + ahead + (late?.(sleep) ?? 0) - before;
    let text = `${seconds(begin)},load,0,0,,,,,,,,,\n,timer_map,0,0,,,,,,,,,0\n,restore,0,0,vtimer,1,${cval},,,,,,\n`;
    text += ',restore,0,0,ptimer,0,0,,,,,,\n,entry,0,0,,,,,,,,,\n,exit,0,0,,,,,,,,,\n,wfx,0,0,,,,,,,,,\n';
    text += `,sched_switch,0,0,,,,,,0,S,,\n,put,0,0,,,,,,,,,\n,timer_map,0,0,,,,,,,,,0\n,save,0,0,vtimer,1,${cval},,,,,,\n`;
    text += `,save,0,0,ptimer,0,0,,,,,,\n,bg_arm,0,0,,,,,,,,${expires},\n`;
    if (before > 0) {
      text += `${seconds(fires - before + 20_000)},bg_expire,0,0,,,,,,,,${expires + 10_000},\n`;
      text += `${seconds(fires - before + 30_000)},bg_arm,0,0,,,,,,,,${fires + ahead - 12_000},\n`;
    }
    if (isWoken) text += `${seconds(fires + 20_000)},wakeup,0,0,,,,,,,,,\n`;
    else text += `${seconds(fires + 20_000)},bg_expire,0,0,,,,,,,,${fires + ahead + 10_000},\n`;
    text += `${seconds(fires + 100_000)},load,0,0,,,,,,,,,\n,timer_map,0,0,,,,,,,,,0\n,update_irq,0,0,vtimer,,,27,1,,,,\n`;
    text += `,restore,0,0,vtimer,1,${cval},,,,,,\n,restore,0,0,ptimer,0,0,,,,,,\n,entry,0,0,,,,,,,,,\n,exit,0,0,,,,,,,,,\n`;
    text += `,put,0,0,,,,,,,,,\n,save,0,0,vtimer,${isWoken ? 5 : 0},${cval},,,,,,\n,save,0,0,ptimer,0,0,,,,,,\n`;
    whole += text.replaceAll(/^([^,]*,\w+),0,0/gm, `$1,${sleep % vcpus},${sleep % vcpus}`);
  }
  return whole;
}

/** The same where both timers have deadlines, 4 ms apart, and now one and now the other is the earlier. */
function twoTimers(
  sleeps: number,
  late: (sleep: number) => number,
  shift: (sleep: number) => bigint = () => 0n,
): string {
  const seconds = (nanoseconds: number) => (nanoseconds / 1e9).toFixed(9);
  let text = `# clock: mono\n${header}`;
  for (let sleep = 0; sleep < sleeps; sleep++) {
    const begin = 1_000_000 + sleep * 15_000_000;
    const due = begin + 6_000_000;
    const isVirtual = sleep % 2 === 0;
    const counts = [due + (isVirtual ? 4_000_000 : 0), due + (isVirtual ? 0 : 4_000_000)].map((time) => time / 16);
    const [ptimer, vtimer] = [counts[0]!, BigInt(counts[1]!) + 0x1234n + shift(sleep)].map(
      (at) => `0x${at.toString(16)}`,
    );
    const saves = (p: number, v: number) =>
      `,timer_map,0,0,,,,,,,,,0\n,save,0,0,vtimer,${v},${vtimer},,,,,,\n,save,0,0,ptimer,${p},${ptimer},,,,,,\n`;
    const load = (level: string) =>
      `,load,0,0,,,,,,,,,\n,timer_map,0,0,,,,,,,,,0\n${level},restore,0,0,vtimer,1,${vtimer},,,,,,\n,restore,0,0,ptimer,1,${ptimer},,,,,,\n,entry,0,0,,,,,,,,,\n,exit,0,0,,,,,,,,,\n`;
    const raised = isVirtual ? ',update_irq,0,0,vtimer,,,27,1,,,,\n' : ',update_irq,0,0,ptimer,,,30,1,,,,\n';
    text += `${seconds(begin)}${load('')},wfx,0,0,,,,,,,,,\n,sched_switch,0,0,,,,,,0,S,,\n,put,0,0,,,,,,,,,\n${saves(1, 1)}`;
    text += `,bg_arm,0,0,,,,,,,,${due + late(sleep)},\n${seconds(due + 20_000)},wakeup,0,0,,,,,,,,,\n`;
    text += `${seconds(due + 100_000)}${load(raised)},put,0,0,,,,,,,,,\n${isVirtual ? saves(0, 5) : saves(5, 0)}`;
  }
  return text;
}

/** The same up to 5.0, where probes show the registers: 4.14 has them in memory from the exit on, 4.15 in its put. */
function probed(model: 'world-switch' | 'load-put-4.15', { start, sleeps, late }: Scene): string {
  const seconds = (nanoseconds: number) => (nanoseconds / 1e9).toFixed(9);
  let text = '# clock: mono\ntime,event,vcpu,cpu,timer,irq,level,ctl,cval,loaded,next,state,expires\n';
  for (let sleep = 0; sleep < sleeps; sleep++) {
    const begin = 1_000_000 + sleep * 11_000_000;
    const due = begin + 10_000_000;
    const cval = `0x${(start + BigInt(due) / 16n).toString(16)}`;
    const expires = due + (late?.(sleep) ?? 0);
    const arm = `,bg_arm,0,0,,,,,,,,,${expires}\n,sched_switch,0,0,,,,,,,0,S,\n,put,0,0,,,,,,,,,\n`;
    const fire = `${seconds(due + 20_000)},bg_expire,0,0,,,,,,,,,${due + 10_000}\n,wakeup,0,0,,,,,,,,,\n${seconds(due + 100_000)}`;
    text += `${seconds(begin)}${sleep === 0 ? ',load,0,0,,,,,,,,,\n' : ''}`;
    if (model === 'world-switch')
      text += `,entry,0,0,,,,,,,,,\n,exit,0,0,,,,,,,,,\n,sync,0,0,,,0,1,${cval},,,,\n,schedule,0,0,,,0,1,${cval},,,,\n${arm}${fire},load,0,0,,,,,,,,,\n,unschedule,0,0,,,0,1,${cval},,,,\n,flush,0,0,,,0,1,${cval},,,,\n,update_irq,0,0,vtimer,27,1,,,,,,\n`;
    else
      text += `,entry,0,0,,,,,,,,,\n,exit,0,0,,,,,,,,,\n,schedule,0,0,,,,,,,,,\n,save,0,0,vtimer,,,,,,,,\n${arm},timer_put,0,0,,,,1,${cval},0,,,\n${fire},load,0,0,,,,,,,,,\n,restore,0,0,vtimer,,,1,${cval},,,,\n,unschedule,0,0,,,,,,,,,\n`;
  }
  return text;
}

async function summary(text: string, options: CheckOptions = {}): Promise<TraceSummary> {
  const input = {
    path: 'scene',
    async *open() {
      yield Buffer.from(text);
    },
  };
  for await (const fact of check([input], { model: 'timer-map', host: 'vhe', ...options })) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') return fact.summary;
  }
  throw new Error('no summary');
}

const monotonic = '# clock: mono\n';
const timingRules = [
  'bg-deadline-matches-cval',
  'timer-not-early',
  'expired-timer-asserted',
  'level-true-only-if-expired',
];
const ofTiming = ({ findings }: TraceSummary) => findings.filter(({ rule }) => timingRules.includes(rule));

describe('the counter of a trace', () => {
  it.each([
    ['from zero', 0n],
    ['beyond 53 bits', 0x4000_0000_0000_0123n],
    ['beyond 63 bits, where numbers would be negative', 0xffff_0000_0000_0001n],
    ['across the border of 32 bits', 0xffff_0000n],
  ])('is found %s', async (_, start) => {
    const found = await summary(trace({ start, sleeps: 60, facts: monotonic }));
    const { timing, rules } = found;
    expect(timing).toMatchObject({ frequency: 62_500_000, source: 'inferred' });
    const [{ least, most, changes, constraints }] = timing.counters as [(typeof timing.counters)[0]];
    const end = start + BigInt(Math.round((1e6 + 59 * 11e6 + 10_115_000) * 0.0625));
    expect(BigInt(least!)).toBeLessThanOrEqual(end + 1000n);
    expect(BigInt(most!)).toBeGreaterThanOrEqual(end - 1000n);
    expect(Number(BigInt(most!) - BigInt(least!))).toBeLessThan(100_000);
    expect(changes).toBe(0);
    expect(constraints.armed).toBe(60);
    expect(ofTiming(found)).toEqual([]);
    expect(rules['bg-deadline-matches-cval']!.held).toBeGreaterThan(30);
  });

  it('is found against a clock whose distance from CLOCK_MONOTONIC has to be found first', async () => {
    const found = await summary(trace({ start: 0n, sleeps: 60, ahead: 123_456_789_012 }));
    expect(found.timing.frequency).toBe(62_500_000);
    expect(found.rules['timer-not-early']!.held).toBeGreaterThan(30);
    expect(ofTiming(found)).toEqual([]);
  });

  it('may have a frequency that no list has', async () => {
    const found = await summary(trace({ start: 5n, sleeps: 60, frequency: 57_123_000, facts: monotonic }));
    expect(found.timing.frequency! / 57_123_000).toBeCloseTo(1, 3);
  });

  it.each(['world-switch', 'load-put-4.15'] as const)('is found by what probes show of %s', async (model) => {
    const late = (sleep: number) => (sleep === 40 ? 10_000_000 : 0);
    const { timing, rules, findings } = await summary(probed(model, { start: 77n, sleeps: 80, late }), { model });
    expect(timing.frequency).toBe(62_500_000);
    const [{ constraints, changes }] = timing.counters as [(typeof timing.counters)[0]];
    expect(constraints).toMatchObject({ armed: 79, fired: 80 });
    expect(model === 'world-switch' ? constraints.foundExpired : constraints.savedPending).toBe(80);
    expect(changes).toBe(0);
    expect(findings.map(({ rule, diagnosis, count }) => ({ rule, diagnosis, count }))).toEqual([
      { rule: 'bg-deadline-matches-cval', diagnosis: 'late', count: 1 },
    ]);
    expect(rules['timer-not-early']!.held).toBeGreaterThan(30);
  });

  it('is not known from a few sleeps, and then nothing is decided by it', async () => {
    const found = await summary(trace({ start: 5n, sleeps: 4, facts: monotonic, late: () => 1e7 }));
    expect(found.timing).toMatchObject({ frequency: null, source: null });
    expect(ofTiming(found)).toEqual([]);
    expect(found.rules['bg-deadline-matches-cval']).toMatchObject({ status: 'undecided' });
  });

  it('is taken from the user', async () => {
    const found = await summary(trace({ start: 5n, sleeps: 4, facts: monotonic }), { frequency: 62_500_000 });
    expect(found.timing).toMatchObject({ frequency: 62_500_000, source: 'given' });
    expect(found.rules['bg-deadline-matches-cval']!.held).toBeGreaterThan(0);
  });

  it('is one for all timers where CNTVOFF is given', async () => {
    const { timing } = await summary(trace({ start: 5n, sleeps: 40, facts: monotonic }), { cntvoff: 0x1234n });
    expect(timing.counters).toHaveLength(1);
    expect(timing.counters[0]).toMatchObject({ vcpu: null, changes: 0 });
  });

  it('refuses a frequency or an offset that no machine has', async () => {
    await expect(summary('', { frequency: 7 })).rejects.toThrow(/frequency: expected 1000000 to/);
    await expect(summary('', { cntvoff: -1n })).rejects.toThrow(/cntvoff: expected 0 to/);
  });
});

describe('what contradicts the counter', () => {
  it('is a violation although it came before the frequency was known', async () => {
    const late = (sleep: number) => (sleep === 3 ? 10_000_000 : 0);
    const found = await summary(trace({ start: 9n, sleeps: 60, facts: monotonic, late }));
    expect(ofTiming(found).map(({ rule, diagnosis, count }) => ({ rule, diagnosis, count }))).toEqual([
      { rule: 'bg-deadline-matches-cval', diagnosis: 'late', count: 1 },
    ]);
    expect(ofTiming(found)[0]!.position.line).toBe(2 + 3 * 24 + 13);
    expect(found.rules['bg-deadline-matches-cval']!.held).toBeGreaterThan(55);
  });

  it('may be an arming that its own callback makes good', async () => {
    const early = (sleep: number) => (sleep % 6 === 2 ? 5_000_000 : 0);
    const found = await summary(trace({ start: 9n, sleeps: 30, facts: monotonic, early }));
    expect(ofTiming(found).map(({ rule, diagnosis, count }) => ({ rule, diagnosis, count }))).toEqual([
      { rule: 'bg-deadline-matches-cval', diagnosis: 'early', count: 4 },
    ]);
    // The five that make good are judged as well.
    expect(found.timing.counters[0]!.constraints.armed).toBe(30);
    expect(found.rules['bg-deadline-matches-cval']).toMatchObject({ held: 29, undecided: 2 });
  });

  it('is a violation where all else agrees', async () => {
    const late = (sleep: number) => (sleep === 40 ? 10_000_000 : 0);
    const found = await summary(trace({ start: 9n, sleeps: 80, facts: monotonic, late }));
    expect(ofTiming(found).map(({ rule, diagnosis, count }) => ({ rule, diagnosis, count }))).toEqual([
      { rule: 'bg-deadline-matches-cval', diagnosis: 'late', count: 1 },
    ]);
    // Line 1 is a fact, 2 the header; 24 rows a sleep, of which the arming is the thirteenth.
    expect(ofTiming(found)[0]!.position.line).toBe(2 + 40 * 24 + 13);
    expect(found.timing.counters[0]!.changes).toBe(0);
  });

  it.each([
    ['every arming', () => 4_000_000],
    ['two armings of three', (sleep: number) => (sleep % 3 === 0 ? 0 : 4_000_000)],
    ['one arming of nine', (sleep: number) => (sleep % 9 === 4 ? 4_000_000 : 0)],
  ])('is %s, and not the hardware, where that has seen the deadline pass before', async (_, late) => {
    const found = await summary(trace({ start: 9n, sleeps: 120, facts: monotonic, isWoken: true, late }));
    expect(ofTiming(found).map(({ rule, diagnosis }) => ({ rule, diagnosis }))).toEqual([
      { rule: 'bg-deadline-matches-cval', diagnosis: 'late' },
    ]);
    const { violated } = found.rules['bg-deadline-matches-cval']!;
    const wrong = Array.from({ length: 120 }, (_, sleep) => late(sleep)).filter((by) => by > 0).length;
    expect(violated).toBeLessThanOrEqual(wrong);
    expect(violated).toBeGreaterThan(wrong / 2);
  });

  it('is nothing where the armings and the hardware agree', async () => {
    const found = await summary(trace({ start: 9n, sleeps: 120, facts: monotonic, isWoken: true }));
    expect(ofTiming(found)).toEqual([]);
    expect(found.rules['bg-deadline-matches-cval']!.held).toBeGreaterThan(80);
  });

  it('is another offset where all that follows agrees on it', async () => {
    const shift = (sleep: number) => (sleep >= 40 ? 0x8000_0000n : 0n);
    const found = await summary(trace({ start: 9n, sleeps: 80, facts: monotonic, shift }));
    expect(ofTiming(found)).toEqual([]);
    const [{ changes, changed }] = found.timing.counters as [(typeof found.timing.counters)[0]];
    expect(changes).toBe(1);
    expect(Number(changed[0]!.time)).toBeCloseTo(0.001 + 40 * 0.011, 2);
    expect(changed[0]!.by / (0x8000_0000 * 16)).toBeCloseTo(1, 3);
    expect(found.conditions.find(({ kind }) => kind === 'offset-changed')).toMatchObject({
      severity: 'info',
      count: 1,
    });
  });

  it.each([
    ['a violation where another vcpu of the VM shows that it has not moved', 2, 30, 0],
    ['another offset, and back, for a vcpu that is alone', 1, 0, 2],
  ])('for thirty sleeps in a row is %s', async (_, vcpus, violated, changes) => {
    const first = 60 * vcpus;
    const delay = (sleep: number) =>
      sleep >= first && sleep < first + 30 * vcpus && sleep % vcpus === 0 ? 800_000 : 0;
    const found = await summary(trace({ start: 9n, facts: monotonic, sleeps: 120 * vcpus, vcpus, delay }));
    expect(found.rules['bg-deadline-matches-cval']!.violated).toBe(violated);
    expect(found.timing.counters.reduce((sum, counter) => sum + counter.changes, 0)).toBe(changes);
  });

  it('is an arming before the deadlines of both timers, or after the earlier one', async () => {
    const late = (sleep: number) => (sleep === 80 ? -3_000_000 : sleep === 121 ? 3_000_000 : 0);
    const options = { frequency: 62_500_000 };
    const found = await summary(twoTimers(200, late), options);
    expect(ofTiming(found).map(({ rule, diagnosis, count }) => ({ rule, diagnosis, count }))).toEqual([
      { rule: 'bg-deadline-matches-cval', diagnosis: 'early', count: 1 },
      { rule: 'bg-deadline-matches-cval', diagnosis: 'late', count: 1 },
    ]);
    expect(
      ofTiming(
        await summary(
          twoTimers(200, () => 0),
          options,
        ),
      ),
    ).toEqual([]);
  });

  it.each([
    ['forward', 0x10_0000n],
    ['back', -0x10_0000n],
  ])('is no arming for one of two timers of which userspace has set one %s', async (_, counts) => {
    const shift = (sleep: number) => (sleep >= 81 ? counts : 0n);
    const found = await summary(
      twoTimers(200, () => 0, shift),
      { frequency: 62_500_000 },
    );
    // The loads of these sleeps report no level, as if no deadline had been set back behind them.
    expect(ofTiming(found).filter(({ rule }) => rule === 'bg-deadline-matches-cval')).toEqual([]);
  });

  it('is undecided where the trace ends too soon after', async () => {
    const late = (sleep: number) => (sleep === 78 ? 10_000_000 : 0);
    const found = await summary(trace({ start: 9n, sleeps: 80, facts: monotonic, late }));
    expect(ofTiming(found)).toEqual([]);
    expect(found.rules['bg-deadline-matches-cval']!.reasons).toHaveProperty(
      'the trace ends before enough constraints confirm it',
    );
  });
});
