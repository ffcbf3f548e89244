import type { Moment, TimerState } from '../../replay/moment.js';
import type { ReplayFact } from '../../replay/replay.js';
import { duration } from '../durations.js';
import type { Output } from '../output.js';
import { pathName, vcpuWords } from '../place.js';
import { printable, printableFact } from '../printable.js';
import type { Reporter } from '../reporter.js';
import { wrap } from './layout.js';
import { failureLines } from './run.js';
import type { Theme } from './theme.js';

/** What a lane can show in one column: several of them where it changed there. */
enum Seen {
  nothing = 0,
  low = 1,
  high = 2,
  both = 3,
}

/** By `Seen`. */
const signs = [' ', '_', '#', 'x'] as const;

/** A lane that is low or high. */
interface Lane {
  readonly name: string;
  of(state: TimerState): Seen;
}

function level(yes: boolean | undefined): Seen {
  return yes === undefined ? Seen.nothing : yes ? Seen.high : Seen.low;
}

const bit = (letter: string, index: number) => (state: TimerState) =>
  level(state.ctl[index] === '?' ? undefined : state.ctl[index] === letter);

const lanes: readonly Lane[] = [
  { name: 'in the guest', of: ({ place }) => level(place === '?' ? undefined : place === 'guest') },
  { name: 'in hardware', of: ({ inHardware }) => level(inHardware === '?' ? undefined : inHardware === 'hardware') },
  { name: 'CTL enable', of: bit('E', 0) },
  { name: 'CTL imask', of: bit('I', 1) },
  { name: 'CTL istatus', of: bit('S', 2) },
  { name: 'level', of: (state) => level(state.level === '?' ? undefined : state.level === '1') },
  {
    name: 'background timer',
    of: ({ backgroundTimer }) => level(backgroundTimer === '?' ? undefined : backgroundTimer === 'armed'),
  },
];

/** What happens at one time: the letter in the lane of events, the more telling one where there are several. */
const letters: readonly (readonly [event: string, letter: string, meaning: string])[] = [
  ['vtimer_irq', 'I', 'interrupt'],
  ['bg_expire', 'F', 'background timer fires'],
  ['bg_arm', 'A', 'background timer armed'],
  ['', 'd', 'new deadline'],
];

const labelWidth = 18;

/** Shortest column, nanoseconds. */
const finest = 100;

/** The lanes of one vcpu in columns of equal duration, which doubles when they have been used up. */
class Wave {
  readonly #masks: Uint8Array[];
  readonly #cpus: Int16Array;
  readonly #events: Uint8Array;
  #state: TimerState | undefined;
  #column = 0;

  constructor(
    readonly vcpu: NonNullable<Moment['vcpu']>,
    readonly columns: number,
  ) {
    this.#masks = lanes.map(() => new Uint8Array(columns));
    this.#cpus = new Int16Array(columns).fill(-3);
    this.#events = new Uint8Array(columns).fill(letters.length);
  }

  /** The state has lasted up to a column, and is another one from there on. */
  add({ state, event, changed }: Moment, column: number): void {
    this.extend(column);
    if (state !== null) this.#state = state;
    this.#mark(column);
    const known = letters.findIndex(([kind]) => kind === event);
    const letter =
      known >= 0 ? known : changed.includes('cval') && state?.cval !== '?' ? letters.length - 1 : undefined;
    if (letter !== undefined) this.#events[column] = Math.min(this.#events[column]!, letter);
  }

  extend(column: number): void {
    for (let each = this.#column; each <= column; each++) this.#mark(each);
    this.#column = column;
  }

  #mark(column: number): void {
    const state = this.#state;
    if (state === undefined) return;
    lanes.forEach((lane, index) => {
      this.#masks[index]![column]! |= lane.of(state);
    });
    const cpu = state.loadedOn === 'none' ? -1 : state.loadedOn === '?' ? -2 : Number(state.loadedOn);
    // A CPU tells more than being nowhere.
    this.#cpus[column] = Math.max(this.#cpus[column]!, cpu);
  }

  /** Two columns become one. */
  halve(): void {
    const half = this.columns / 2;
    for (let column = 0; column < this.columns; column++) {
      const [a, b] = [2 * column, 2 * column + 1];
      for (const mask of this.#masks) mask[column] = column < half ? mask[a]! | mask[b]! : 0;
      this.#cpus[column] = column < half ? Math.max(this.#cpus[a]!, this.#cpus[b]!) : -3;
      this.#events[column] = column < half ? Math.min(this.#events[a]!, this.#events[b]!) : letters.length;
    }
    this.#column = Math.floor(this.#column / 2);
  }

  /** @param factor how many columns go into one that is printed */
  lines(factor: number, theme: Theme): string[] {
    const used = Math.ceil((this.#column + 1) / factor);
    const groups = <T>(all: ArrayLike<T>, join: (a: T, b: T) => T) =>
      Array.from({ length: used }, (_, at) =>
        Array.from(all)
          .slice(at * factor, Math.min((at + 1) * factor, this.#column + 1))
          .reduce(join),
      );
    const line = (name: string, cells: readonly string[]) => `  ${name.padEnd(labelWidth)}${cells.join('')}`.trimEnd();
    const cpus = groups(this.#cpus, (a, b) => Math.max(a, b)).map((cpu) =>
      cpu === -3 ? ' ' : cpu === -2 ? '?' : cpu === -1 ? '.' : cpu > 35 ? '+' : cpu.toString(36),
    );
    const events = groups(this.#events, (a, b) => Math.min(a, b)).map((index) => letters[index]?.[1] ?? ' ');
    return [
      theme.bold(vcpuWords(this.vcpu)),
      line('loaded on CPU', cpus),
      ...lanes.map(({ name }, index) =>
        line(
          name,
          groups(this.#masks[index]!, (x, y) => x | y).map((mask) => signs[mask as Seen]),
        ),
      ),
      line('events', events),
    ];
  }
}

/** Shows the timer of each vcpu as a waveform across the page, when all events have come. */
export function waveTextReporter(output: Output, theme: Theme): Reporter<ReplayFact> {
  const printed = output.columns - labelWidth - 2;
  // Finer than what is printed, so that most of the page is used however long it is.
  const columns = 8 * printed;
  let waves = new Map<string, Wave>();
  let first = Number.NaN;
  let last = 0;
  let start = '';
  /** Nanoseconds a column. */
  let width = finest;
  const clear = () => {
    waves = new Map();
    first = Number.NaN;
    last = 0;
    width = finest;
  };
  const add = (moment: Moment) => {
    const time = Number(moment.time) * 1e9;
    if (Number.isNaN(first)) {
      first = time;
      start = moment.time;
    }
    last = Math.max(last, time);
    while ((time - first) / width >= columns) {
      width *= 2;
      for (const wave of waves.values()) wave.halve();
    }
    if (moment.vcpu === null) return;
    const name = `${moment.vcpu.vm}.${moment.vcpu.id}`;
    let wave = waves.get(name);
    if (wave === undefined) {
      wave = new Wave(moment.vcpu, columns);
      waves.set(name, wave);
    }
    wave.add(moment, Math.max(0, Math.floor((time - first) / width)));
  };
  return {
    async fact(fact) {
      if (fact.type === 'trace-start') {
        clear();
        await output.write(`${theme.bold(printable(pathName(fact.path)))}\n`);
      }
      if (fact.type === 'moment') add(fact.moment);
      if (fact.type === 'trace-end') await output.write(`${ending().join('\n')}\n`);
      if (fact.type === 'trace-failed')
        await output.write(
          `${failureLines(printableFact(fact.failure), { theme, width: output.columns, verbose: false }).join('\n')}\n`,
        );
    },
    end() {},
  };

  function ending(): string[] {
    if (waves.size === 0) return ['no events of a vcpu'];
    const sorted = [...waves].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })).map(([, wave]) => wave);
    const end = Math.floor((last - first) / width);
    for (const wave of sorted) wave.extend(end);
    const factor = Math.ceil((end + 1) / printed);
    const legend = [
      `${signs[Seen.low]} low`,
      `${signs[Seen.high]} high`,
      `${signs[Seen.both]} both`,
      '. not loaded',
      ...letters.map(([, letter, meaning]) => `${letter} ${meaning}`),
    ];
    return [
      `from ${start}, ${duration(width * factor)} a column`,
      ...wrap(legend.join(', '), output.columns),
      ...sorted.flatMap((wave) => ['', ...wave.lines(factor, theme)]),
    ];
  }
}
