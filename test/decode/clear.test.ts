import { expect, it } from 'vitest';
import { catalogue } from '../../src/decode/catalogue.js';
import { functionDecoders } from '../../src/decode/functions.js';
import { Learned } from '../../src/decode/learned.js';
import { type Decode, tracepointDecoders } from '../../src/decode/tracepoints.js';
import { TimerEvent } from '../../src/events/event.js';
import { maxFields, Record } from '../../src/input/record.js';

const decoders: Readonly<{ [name: string]: Decode }> = { ...tracepointDecoders, ...functionDecoders };

/** What an event says: without their flag, the halves of a 64-bit value say nothing. */
function said(event: TimerEvent): Partial<TimerEvent> {
  const { cvalHi, cvalLo, timerPointerHi, timerPointerLo, ...rest } = event;
  return {
    ...rest,
    ...(event.hasCval && { cvalHi, cvalLo }),
    ...(event.hasTimerPointer && { timerPointerHi, timerPointerLo }),
  };
}

/** A record that has all fields, or those of a mask. */
function recordOf(index: number, value: number, present: number): Record {
  const record = new Record(new Int32Array(maxFields).fill(value), new Int32Array(maxFields).fill(value));
  record.event = index;
  record.present = present;
  return record;
}

/** What is decoded, and not evidence only. */
const cases = catalogue.events.flatMap(({ name }, index) => {
  const decode = decoders[name];
  return decode === undefined ? [] : [[name, index, decode] as const];
});

it.each(cases)('nothing of a record of %s is left in an event that is filled anew', (_, index, decode) => {
  for (const value of [0, 1, 2, 27, -1, 0x7fffffff]) {
    for (const present of [-1, 0, 0x5555, 0xaaaa]) {
      const event = new TimerEvent();
      const learned = new Learned();
      decode(recordOf(index, value, present), event, learned);
      decode(recordOf(index, value, present), event, learned);
      expect(said(event.clear())).toEqual(said(new TimerEvent()));
    }
  }
});
