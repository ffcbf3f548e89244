import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind, type KindName } from '../events/kinds.js';
import { noEvent, type VcpuState } from '../machine/state.js';
import type { Handler } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, isZeroValue, Slots, vcpuName } from './support.js';

/** A clock that never advances by less than this is too coarse to stand still, nanoseconds. */
const coarse = 100_000;
/** A vcpu cannot be loaded, entered, left and put within this, nanoseconds. */
const shortest = 10_000;
/** Steps back of less than this are the order of two nearly simultaneous records, nanoseconds. */
const smallest = 10_000;
/** Nothing between the write of CNTVOFF and the next record of a put takes so long, nanoseconds. */
const longest = 1_000_000_000;
/** A CPU may stall once or twice, which looks the same: how many jumps there must be. */
const enough = 3;

/** Where a CPU's time is looked at. */
const looked: readonly KindName[] = [
  'load',
  'timer_load',
  'put',
  'timer_put',
  'set_cntvoff',
  'set_affinity',
  'restore',
  'save',
  'entry',
  'exit',
  'sched_switch',
  'userspace_exit',
];

/** The kinds with which a vcpu leaves a CPU. */
const leaves = new Set<number>([Kind.put, Kind.timer_put, Kind.set_cntvoff]);

export default defineRule({
  id: 'host-clock-monotonic',
  statement: 'The clock of the host neither stands still nor steps while a vcpu is loaded.',
  why: 'Up to 4.14 a non-VHE host reads the virtual counter: with the offset of a VM in place its time, its scheduler and its timers are off by the age of the VM.',
  models: everyModel('error'),
  needs: ['entry', 'exit'],
  source: 'arch_counter_register in 4.14; RFC weak point W9; specification §4.3, §4.8 point 19',
  messages: {
    'stood-still': {
      headline: 'the clock of CPU {cpu} stands still while {vcpu} is loaded, and jumps by {jump} ms when it leaves',
      given: '{vcpu} was loaded on CPU {cpu}, entered the guest and left it',
      must: 'time passes meanwhile',
      but: 'all records from the load to the put have one time, and the next one is {jump} ms later',
      therefore:
        'the clock has stepped back at the load, which the recorder shows as no time at all: the host reads the virtual counter with the offset of the VM',
    },
    'stepped-back': {
      headline: 'the clock of CPU {cpu} steps back by {jump} ms while {vcpu} is loaded',
      given: '{vcpu} was loaded on CPU {cpu}',
      must: 'the times of the records of a CPU do not decrease',
      but: 'a record is {jump} ms earlier than the one before it',
      therefore: 'the host reads the virtual counter with the offset of the VM',
    },
    jumped: {
      headline: 'the clock of CPU {cpu} jumps by {jump} ms when {vcpu} is put, the {count}th time',
      given: '0 was written to CNTVOFF_EL2 of CPU {cpu} in the put of {vcpu}',
      must: 'the next step of the put follows at once',
      but: 'its record is {jump} ms later, and so it was at other puts',
      therefore: 'the host reads the virtual counter, which the offset of the VM had set back',
    },
  },
  examples: {
    legal: [
      {
        title: 'time passes in the guest, and a CPU may idle for long',
        model: 'rfc-load-put',
        host: 'nvhe',
        trace:
          'time,event,vcpu,cpu\n100.000000,load,0,0\n100.000010,entry,0,0\n100.004,exit,0,0\n100.004010,put,0,0\n132.5,load,0,0\n132.500010,entry,0,0\n132.6,exit,0,0\n',
      },
    ],
    violating: [
      {
        title: 'no time passes from the load to the put (W9)',
        model: 'rfc-load-put',
        host: 'nvhe',
        trace:
          'time,event,vcpu,cpu\n99.999990,sched_switch,,0\n100.000000,load,0,0\n100.000000,entry,0,0\n100.000000,exit,0,0\n132.500000,put,0,0\n',
        message: 'stood-still',
        line: 6,
      },
      {
        title: 'the offset is gone, and the clock jumps forward',
        model: 'rfc-load-put',
        host: 'nvhe',
        trace: [
          'time,event,vcpu,cpu,value,level',
          ...[100, 120, 140].flatMap((start) => [
            `${start}.000000,load,0,0`,
            `${start}.000010,entry,0,0`,
            `${start}.001,exit,0,0`,
            `${start}.001010,put,0,0`,
            `${start}.001020,set_cntvoff,0,0,0`,
            `${start + 18}.001030,set_affinity,0,0,,0`,
          ]),
          '',
        ].join('\n'),
        message: 'jumped',
        line: 19,
      },
    ],
  },
  create(context) {
    if (context.host === 'vhe') return {};
    const { machine } = context;
    /** By CPU: time of the last record that was looked at. */
    const last: number[] = [];
    /** By CPU: serial of the first record of a run that has one time, and the vcpu whose entry and exit both are in it, or -1. */
    const runs: number[] = [];
    const guestInRun: number[] = [];
    /** By vcpu: serial of the first entry since its load. */
    const firstEntry: number[] = [];
    /** By CPU: the write of 0 to CNTVOFF that was the last record. */
    const zeroed = new Slots();
    /** Shortest time by which a clock has advanced. */
    let finest = Number.POSITIVE_INFINITY;
    let jumps = 0;

    function violate(event: TimerEvent, vcpu: VcpuState, message: string, jump: number): void {
      context.violate(event, {
        message,
        data: {
          cpu: event.cpu,
          vcpu: vcpuName(machine, vcpu.index),
          jump: Math.round(jump / 1000) / 1000,
          count: jumps,
        },
        witness: [vcpu.last[Kind.load], vcpu.last[Kind.entry], vcpu.last[Kind.exit], zeroed.get(event.cpu) ?? noEvent],
        ofCpu: true,
      });
    }

    /** The vcpu that is loaded on a CPU, or was put there since the run began. */
    function loadedOn(cpu: number, run: number): VcpuState | undefined {
      const { running } = machine.cpu(cpu);
      if (running >= 0) return machine.vcpu(running);
      const put = machine.cpu(cpu).last[Kind.put];
      return put.serial >= run && put.vcpu >= 0 ? machine.vcpu(put.vcpu) : undefined;
    }

    const look: Handler = (event) => {
      const { cpu, time, kind } = event;
      if (event.certainty !== Certainty.recorded || cpu < 0) return;
      const before = last[cpu];
      last[cpu] = time;
      if (kind === Kind.entry && event.vcpu >= 0) {
        const vcpu = machine.vcpu(event.vcpu);
        if (vcpu.last[Kind.entry].serial < vcpu.last[Kind.load].serial) firstEntry[event.vcpu] = event.serial;
      }
      if (time === before) {
        if (kind === Kind.exit && event.vcpu >= 0) {
          const entry = machine.vcpu(event.vcpu).last[Kind.entry];
          const run = runs[cpu];
          if (run !== undefined && entry.cpu === cpu && entry.serial >= run) guestInRun[cpu] = event.vcpu;
        }
        return;
      }
      const write = zeroed.get(cpu);
      const run = runs[cpu];
      if (before !== undefined && run !== undefined) {
        const step = time - before;
        if (step < 0) {
          const vcpu = loadedOn(cpu, run);
          if (vcpu !== undefined && -step >= smallest) violate(event, vcpu, 'stepped-back', -step);
        } else {
          if (step < finest) finest = step;
          const guest = guestInRun[cpu] ?? -1;
          if (guest >= 0 && step >= shortest && finest < coarse) standsStill(event, run, machine.vcpu(guest), step);
          if (write !== undefined && step >= longest && event.pid === write.pid) jump(event, write, step);
        }
      }
      if (kind === Kind.exit && event.vcpu >= 0 && before !== undefined && time > before) context.hold(event);
      guestInRun[cpu] = -1;
      runs[cpu] = event.serial;
      if (write !== undefined) zeroed.clear(cpu);
      if (kind === Kind.set_cntvoff && event.hasValue && isZeroValue(event)) zeroed.set(cpu, event);
    };

    /** The clock goes on after a run that holds a stay in the guest: from the load to the put it stood still. */
    function standsStill(event: TimerEvent, run: number, vcpu: VcpuState, step: number): void {
      // The offset is written between the record of the load and the first entry.
      const entry = firstEntry[vcpu.index] ?? 0;
      if (vcpu.last[Kind.load].serial === 0 || entry < vcpu.last[Kind.load].serial || entry < run) return;
      const left = leaves.has(event.kind) || vcpu.putting || vcpu.cpu !== event.cpu;
      if (left) violate(event, vcpu, 'stood-still', step);
    }

    function jump(event: TimerEvent, write: TimerEvent, step: number): void {
      if (write.vcpu < 0 || event.kind === Kind.sched_switch) return;
      const vcpu = machine.vcpu(write.vcpu);
      // Behind the put the thread may do what it likes.
      if (!vcpu.putting || ++jumps < enough) return;
      violate(event, vcpu, 'jumped', step);
    }

    return {
      before: {
        ...(Object.fromEntries(looked.map((kind) => [kind, look])) as Record<(typeof looked)[number], Handler>),
        lost(event) {
          if (event.cpu < 0) return;
          delete runs[event.cpu];
          zeroed.clear(event.cpu);
          delete last[event.cpu];
          guestInRun[event.cpu] = -1;
        },
      },
    };
  },
});
