import { Readable } from 'node:stream';
import type { Diff } from '../../src/diff/facts.js';
import { randomNumbers } from '../../src/diff/noise/random.js';
import { diff } from '../../src/index.js';

/** A made-up recording of a guest that sleeps from tick to tick. */
export interface MadeUp {
  readonly seed: number;
  /** How long everything takes, the host's part included. Default 1. */
  readonly host?: number;
  /** How long the way from load to entry takes. Default 1. */
  readonly entry?: number;
  /** Default 800. */
  readonly ticks?: number;
}

const second = 1e9;

function trace({ seed, host = 1, entry = 1, ticks = 800 }: MadeUp): string {
  const random = randomNumbers(seed);
  /** Something of a length in microseconds, more or less by a fifth. */
  const about = (length: number) => Math.round(1_000 * length * host * (0.8 + 0.4 * random()));
  const rows: string[] = [];
  let time = 0;
  /** An event so long after the one before, or at a time. */
  const after = (passed: number, rest: string) => at(time + passed, rest);
  const at = (moment: number, rest: string) => {
    time = moment;
    rows.push(`${(time / second).toFixed(9)},${rest}`);
  };
  for (let tick = 0; tick < ticks; tick++) {
    const deadline = tick * 5e6 + 5e6;
    const expiry = deadline + about(50);
    at(deadline - 3e6, 'exit,0,0,TRAP,WFx');
    after(about(10), 'schedule,0,0');
    after(about(10), 'put,0,0');
    after(about(10), `bg_arm,0,0,,,,,${deadline}`);
    after(1_000, 'put_end,0,0');
    at(expiry, `bg_expire,0,0,,,,,${expiry}`);
    after(about(20), 'wakeup,0,0');
    after(about(100), 'load,0,0');
    after(about(20), 'unschedule,0,0');
    after(entry * about(200), 'entry,0,0');
  }
  return `# model: timer-map\n# host: nvhe\ntime,event,vcpu,cpu,code,ec,timer,level,expires,next\n${rows.join('\n')}\n`;
}

/** The difference of two made-up recordings. */
export async function compared(old: MadeUp, next: MadeUp): Promise<Diff> {
  const input = (path: string, made: MadeUp) => ({ path, open: () => Readable.from([Buffer.from(trace(made))]) });
  for await (const fact of diff(input('old.csv', old), input('new.csv', next)))
    if (fact.type === 'diff' && fact.diff !== null) return fact.diff;
  throw new Error('no difference was made');
}
