import { Bytes, type File, type Form, format, type Page } from './writer.js';

/** Ids of the sample's events: a kernel numbers them as they come. */
const id = {
  function: 1,
  kvm_entry: 62,
  save: 700,
  irq: 40000,
  switch: 13,
  other: 14,
  probe: 1500,
  hrtimer: 16,
  access: 17,
};

/** First address of the sample's kernel text; 32-bit kernels have it elsewhere. */
const textStart = (form: Form) => (form.longSize === 8 ? 0xffffffc010000000n : 0xc0100000n);

/** Formats with the offsets that a kernel of this word size makes. */
export function formats(form: Form): (readonly [string, string])[] {
  const long = form.longSize;
  const wide = long === 8 ? 8 : 4;
  return [
    [
      'ftrace',
      format('function', id.function, [
        ['unsigned long ip', 8, long, false],
        ['unsigned long parent_ip', 8 + long, long, false],
      ]),
    ],
    ['kvm', format('kvm_entry', id.kvm_entry, [['unsigned long vcpu_pc', 8, long, false]])],
    [
      'kvm',
      format('kvm_timer_save_state', id.save, [
        ['unsigned long ctl', 8, long, false],
        ['unsigned long long cval', 16, 8, false],
        ['int timer_idx', 24, 4, true],
      ]),
    ],
    ['kvm', format('kvm_mmio', id.other, [['u64 gpa', 8, 8, false]])],
    [
      'irq',
      format('irq_handler_entry', id.irq, [
        ['int irq', 8, 4, true],
        ['__data_loc char[] name', 12, 4, false],
      ]),
    ],
    [
      'sched',
      format('sched_switch', id.switch, [
        ['char prev_comm[16]', 8, 16, false],
        ['pid_t prev_pid', 24, 4, true],
        ['int prev_prio', 28, 4, true],
        ['long prev_state', 32, wide, true],
        ['char next_comm[16]', 32 + wide, 16, false],
        ['pid_t next_pid', 48 + wide, 4, true],
        ['int next_prio', 52 + wide, 4, true],
      ]),
    ],
    [
      'kt',
      format('timer_load', id.probe, [
        ['unsigned long __probe_ip', 8, long, false],
        ['u64 vcpu', 8 + long, 8, false],
        ['u8 level', 16 + long, 1, false],
        ['u64 off', 17 + long, 8, false],
      ]),
    ],
    [
      'timer',
      format('hrtimer_start', id.hrtimer, [
        ['void * hrtimer', 8, long, false],
        ['void * function', 8 + long, long, false],
        ['s64 expires', 8 + 2 * long, 8, true],
      ]),
    ],
  ];
}

/** Makes payloads of the sample's events. */
export class Events {
  private readonly form: Form;

  constructor(form: Form) {
    this.form = form;
  }

  private begin(event: number, pid: number, flags = 0): Bytes {
    return new Bytes(this.form).u16(event).number(flags, 1).number(0, 1).u32(pid);
  }

  entry(pid: number, pc: number): Uint8Array {
    return this.begin(id.kvm_entry, pid).long(pc).done();
  }

  save(pid: number, ctl: number, cval: bigint, timer: number): Uint8Array {
    return this.begin(id.save, pid, 1).long(ctl).align(8).u64(cval).u32(timer).done();
  }

  /** In hard interrupt context. */
  irq(pid: number, irq: number, name: string): Uint8Array {
    return this.begin(id.irq, pid, 0x09)
      .u32(irq)
      .u32(16 + (name.length + 1) * 0x10000)
      .text(name)
      .align(4)
      .done();
  }

  switch(prev: number, state: number, next: number, comm: string): Uint8Array {
    const name = (text: string) => Buffer.concat([Buffer.from(text), Buffer.alloc(16)], 16);
    return this.begin(id.switch, prev)
      .raw(name(comm))
      .u32(prev)
      .u32(120)
      .long(state)
      .raw(name('next'))
      .u32(next)
      .u32(120)
      .done();
  }

  probe(pid: number, offset: number, vcpu: bigint, level: number, off: bigint): Uint8Array {
    return this.begin(id.probe, pid)
      .long(textStart(this.form) + BigInt(offset))
      .u64(vcpu)
      .number(level, 1)
      .u64(off)
      .align(4)
      .done();
  }

  traced(pid: number, offset: number): Uint8Array {
    return this.begin(id.function, pid)
      .long(textStart(this.form) + BigInt(offset))
      .long(0)
      .done();
  }

  hrtimer(pid: number, offset: number, expires: bigint): Uint8Array {
    return this.begin(id.hrtimer, pid, 0x10)
      .long(0x1000)
      .long(textStart(this.form) + BigInt(offset))
      .u64(expires)
      .done();
  }

  /** Of an event that nobody wants, with a payload of any length. */
  other(pid: number, length = 8): Uint8Array {
    return this.begin(id.other, pid).raw(new Uint8Array(length)).done();
  }

  /** Of an event that the file does not describe. */
  unknown(pid: number): Uint8Array {
    return this.begin(999, pid).u64(0).done();
  }
}

/** Symbols out of order, as modules make them. */
export function kallsyms(form: Form): string {
  const line = (offset: number, name: string) =>
    `${(textStart(form) + BigInt(offset)).toString(16).padStart(form.longSize * 2, '0')} T ${name}\n`;
  return [
    line(0x2000, 'kvm_timer_vcpu_load'),
    line(0x2100, 'something_else'),
    line(0x100, 'kvm_bg_timer_expire'),
    line(0x200, 'tick_sched_timer'),
    line(0x3000, 'kvm_timer_vcpu_put\t[kvm]'),
  ].join('');
}

export const cmdlines = '100 CPU 0/KVM\n101 CPU 1/KVM\n7 -a: b [0]-9\n';

const second = 1_000_000_000n;

/** Every kind of item, on two CPUs whose records interleave. */
export function pages(form: Form): { cpu: number; pages: Page[] }[] {
  const events = new Events(form);
  const start = 5n * second;
  const far = start + 3n * second;
  return [
    {
      cpu: 0,
      pages: [
        {
          time: start,
          items: [
            { delta: 0, payload: events.entry(100, 0x4000) },
            { delta: 1000, payload: events.save(100, 5, 0xffffffffffffffffn, 1) },
            { delta: 0, payload: events.other(100) },
            { delta: 10, discarded: 5 },
            { delta: 490, payload: events.irq(0, 12, 'kvm guest vtimer') },
            // A tie with CPU 1: the lower one comes first.
            { delta: 1000, payload: events.entry(100, 0x4004) },
            { extend: 700_000_000 },
            { delta: 5, payload: events.switch(100, 1, 7, 'CPU 0/KVM'), isBig: true },
            { delta: 5, payload: events.other(7, 333) },
            { rest: true },
          ],
        },
        {
          time: start + second,
          items: [{ delta: 7, payload: events.switch(7, form.longSize === 8 ? 0x100 : 0x1000, 100, '-a: b [0]-9') }],
          lost: 12,
        },
        // Only behind all others can a page be empty.
        { time: start + 2n * second, items: [] },
      ],
    },
    {
      cpu: 3,
      pages: [
        {
          time: start,
          items: [
            { delta: 2500, payload: events.probe(101, 0x2004, 0xffff000012345678n, 1, 0x8000000000000001n) },
            { delta: 0, payload: events.probe(101, 0x2040, 1n, 0, 0n) },
            { delta: 100, payload: events.hrtimer(101, 0x100, -1n) },
            { delta: 100, payload: events.hrtimer(101, 0x200, 5n) },
            { delta: 100, payload: events.traced(101, 0x3004) },
            { delta: 100, payload: events.traced(101, 0x2100) },
          ],
        },
        { time: start + second, items: [{ delta: 1, payload: events.other(101) }], lost: -1 },
        {
          time: start + 2n * second,
          items: [{ stamp: far & ((1n << 59n) - 1n) }, { delta: 9, payload: events.entry(101, 0x4008) }],
        },
      ],
    },
  ];
}

/** The sample as a file of one buffer. */
export function sample(form: Form): File {
  return {
    buffers: [{ name: '', cpus: pages(form) }],
    formats: formats(form),
    kallsyms: kallsyms(form),
    cmdlines,
    options: [[5, Buffer.from('Linux host 6.1.0-synthetic aarch64\0')]],
  };
}
