import fc from 'fast-check';
import { TimerEvent } from '../../src/events/event.js';
import { Kind, type KindName, kindNames } from '../../src/events/kinds.js';
import { allowedColumns, type ColumnName } from '../../src/events/native-columns.js';

const u32 = fc.oneof(fc.constantFrom(0, 1, 0xffffffff), fc.integer({ min: 0, max: 0xffffffff }));
const orUnknown = (known: fc.Arbitrary<number>, unknown = -1) => fc.oneof(known, fc.constant(unknown));
const range = (min: number, max: number) => fc.integer({ min, max });
const number = (field: keyof TimerEvent, values: fc.Arbitrary<number>) => values.map((value) => ({ [field]: value }));
const wide = (hi: keyof TimerEvent, lo: keyof TimerEvent, has: keyof TimerEvent) =>
  fc.oneof(
    fc.constant({}),
    fc.tuple(fc.integer(), fc.integer()).map(([high, low]) => ({ [hi]: high, [lo]: low, [has]: true })),
  );
const irq = orUnknown(fc.oneof(fc.constantFrom(27, 30), range(0, 1000)));
const timer = range(-2, 3);
const mapped = range(-2, 3);

/** By column: what an event of a kind that has the column may hold. */
const fields: Record<Exclude<ColumnName, 'event' | 'comm' | 'note'>, fc.Arbitrary<object>> = {
  time: number('time', fc.oneof(range(0, 1e6), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))),
  cpu: number('cpu', orUnknown(range(0, 65535))),
  vm: number('vm', orUnknown(range(0, 3))),
  vcpu: number('vcpuId', orUnknown(range(0, 3))),
  pid: number('pid', orUnknown(fc.oneof(range(1000, 1103), range(0, 0x7fffffff)))),
  tgid: number('tgid', orUnknown(range(0, 0x7fffffff))),
  timer: number('timer', timer),
  irq: number('irq', irq),
  level: number('level', range(-1, 1)),
  ctl: number('ctl', orUnknown(fc.oneof(range(0, 7), u32))),
  cval: wide('cvalHi', 'cvalLo', 'hasCval'),
  value: wide('valueHi', 'valueLo', 'hasValue'),
  active_cleared_last: number('activeCleared', range(-1, 1)),
  loaded: number('loaded', range(-1, 1)),
  armed: number('armed', range(-1, 1)),
  register: number('register', range(-1, 3)),
  write: number('write', range(-1, 1)),
  wfe: number('level', range(-1, 1)),
  hrtimer: wide('timerPointerHi', 'timerPointerLo', 'hasTimerPointer'),
  expires: number('expires', orUnknown(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))),
  monotonic: number('expires', orUnknown(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))),
  dv: number('directVtimer', mapped),
  dp: number('directPtimer', mapped),
  ev: number('emulVtimer', mapped),
  ep: number('emulPtimer', mapped),
  code: number('exitCode', orUnknown(range(0, 9))),
  ec: number('exceptionClass', range(-1, 63)),
  next: number('otherPid', orUnknown(fc.oneof(range(1000, 1103), range(0, 0x7fffffff)))),
  state: number('sleeping', range(-1, 1)),
  count: number('lostCount', orUnknown(range(0, 0x7fffffff))),
  pointer: wide('vcpuPointerHi', 'vcpuPointerLo', 'hasVcpuPointer'),
  context: number('context', range(-1, 2)),
  certainty: number('certainty', range(0, 3)),
};

function eventOf(kind: KindName): fc.Arbitrary<TimerEvent> {
  const parts = allowedColumns(kind).flatMap((name) => (name in fields ? [fields[name as keyof typeof fields]] : []));
  const empty = { hasDetails: true, kind: Kind[kind] };
  return fc.tuple(...parts).map((values) => Object.assign(new TimerEvent().clear(), empty, ...values));
}

/** Any event that the notation can hold. */
export const anyEvent: fc.Arbitrary<TimerEvent> = fc.oneof(...kindNames.map(eventOf));
