import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, test } from 'vitest';
import { allSaid } from '../convert/round-trip.js';
import { corpus } from '../corpus/manifest.js';
import { checkText, told } from './recordings.js';

// Whoever writes to the enable files of tracefs one after another, with tracing_on set and guests running, gets records
// of some events before those of others.

const condition = 'event-switched-on-late';

/** Recordings of stock kernels, of which the beginning is kept here. */
const recordings = [
  '4.9-nvhe/kp-overcommit',
  '4.14-nvhe/kp-mixed',
  '4.15-nvhe/tickwfi',
  '4.19-nvhe/tickwfi',
  '5.10-nvhe/kp-overcommit',
  '5.10-vhe/kp-mixed',
  '6.1-nvhe/kp-mixed',
  '6.1-vhe/overcommit',
  '7.2-vhe/ptimer',
] as const;

const textOf = (name: string) =>
  gunzipSync(readFileSync(join(corpus, 'recordings', `${name}.txt.gz`)))
    .toString('latin1')
    .split('\n');

/** Time, in seconds, and event of a record. */
function recordOf(line: string): { time: number; event: string } | undefined {
  const [, time, event] = / (\d+\.\d+): +(\w+):/.exec(line) ?? [];
  return event === undefined ? undefined : { time: Number(time), event };
}

/** In the order in which somebody enables them: by name, against it, and in another one. */
const orders: readonly (readonly [string, (events: readonly string[]) => string[]])[] = [
  ['by name', (events) => events.toSorted()],
  ['against their names', (events) => events.toSorted().reverse()],
  ['by what their names end with', (events) => events.toSorted((a, b) => (reversed(a) < reversed(b) ? -1 : 1))],
];
const reversed = (text: string) => [...text].reverse().join('');

/** What is recorded if the events are enabled one by one, so many seconds apart, when a third of the trace has passed. */
function switchedOn(lines: readonly string[], order: (events: readonly string[]) => string[], apart: number): string[] {
  const records = lines.map(recordOf);
  const [first, last] = [records.find(Boolean)!.time, records.findLast(Boolean)!.time];
  const events = order([...new Set(records.flatMap((record) => record?.event ?? []))]);
  const on = new Map(events.map((event, index) => [event, first + (last - first) / 3 + index * apart]));
  return lines.filter((_, index) => {
    const record = records[index];
    return record === undefined || record.time >= on.get(record.event)!;
  });
}

describe.each(recordings)('%s', (name) => {
  const lines = textOf(name);

  it('has all of its events from the beginning', async () => {
    const { conditions } = await checkText(lines.join('\n'));
    expect(conditions.map(({ kind }) => kind)).not.toContain(condition);
  });

  test.each(orders)('switched on %s: no violation, and the rest is judged', async (_, order) => {
    const summary = await checkText(switchedOn(lines, order, 0.002).join('\n'));
    expect(told(summary)).toEqual([]);
    expect(Object.values(summary.rules).some(({ held }) => held > 0)).toBe(true);
  });
});

it('a conversion says the same', async () => {
  const text = switchedOn(textOf('6.1-vhe/overcommit'), (events) => events.toSorted(), 0.005).join('\n');
  const { original, converted } = await allSaid({
    path: 'trace',
    async *open() {
      yield Buffer.from(text, 'latin1');
    },
  });
  expect(JSON.stringify(original)).toContain(condition);
  expect(converted).toEqual({ csv: original, jsonl: original });
});

const line = (text: string, time: number, thread = 'CPU 0/KVM-360') =>
  `       ${thread}   [000] 1.${String(time).padStart(9, '0')}: ${text}\n`;
const entry = 'kvm_entry: PC: 0x0000000040002000';
const exit = 'kvm_exit: TRAP: HSR_EC: 0x0001 (WFx), PC: 0x0000000040002000';
const handler = (irq: number) => `irq_handler_entry: irq=${irq} name=demultiplexer`;
const returns = (irq: number) => `irq_handler_exit: irq=${irq} ret=handled`;
const waking = 'sched_waking: comm=a pid=7 prio=120 target_cpu=000';
const switches =
  'sched_switch: prev_comm=b prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=c next_pid=8 next_prio=120';
/** Who records it, if not the vcpu. */
const threads: Record<string, string> = { [waking]: 'b-7', [switches]: 'b-7' };

test.each([
  ['an exit after two entries', [entry, entry, exit], ['kvm_exit']],
  ['an exit after an entry', [entry, exit, entry, exit], []],
  ['an entry after a loss, the exit between is lost', [entry, 'lost', entry, exit], []],
  ['an interrupt within another', [handler(5), handler(6), returns(6), returns(5)], []],
  [
    'interrupts that end when the third has begun',
    [handler(5), handler(5), handler(5), returns(5)],
    ['irq_handler_exit'],
  ],
  ['a switch after threads have come without one', [waking, exit, waking, switches], ['sched_switch']],
  ['a switch after the first thread may have had its own', [exit, waking, switches], []],
  ['a switch after threads between which records were lost', [waking, exit, 'lost', exit, waking, switches], []],
  ['threads that have come without a switch, which is not recorded', [waking, exit, waking, exit, waking], []],
  ['what comes for the first time after one that was late', [entry, entry, exit, waking], ['kvm_exit', 'sched_waking']],
] as const)('%s', async (_, events, late) => {
  const text = events.map((event, index) =>
    event === 'lost' ? 'CPU:0 [LOST 3 EVENTS]\n' : line(event, index, threads[event]),
  );
  const { conditions } = await checkText(`cpus=1\n${text.join('')}`);
  const told = conditions.find(({ kind }) => kind === condition);
  expect(Object.keys(told?.details ?? {})).toEqual(late);
});
