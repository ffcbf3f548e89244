import type { ConditionSink } from '../../events/conditions.js';
import { InputError } from '../errors.js';
import type { RandomAccess } from '../random-access.js';
import { type Bytes, Cursor } from './cursor.js';
import type { Formats } from './formats.js';
import type { BufferLayout, CpuData, Layout } from './layout.js';
import { beside, readCmdlines, readEventFormats, readFtraceFormats, readHeaderInfo, readKallsyms } from './metadata.js';
import { currentClock, OptionId, Options } from './options.js';

/** Ten bytes that say what follows. */
const optionsMark = 'options  \0';
const latencyMark = 'latency  \0';
const flyrecordMark = 'flyrecord\0';
const markLength = 10;

/** More CPUs than a kernel has (NR_CPUS is at most 8192). */
const mostCpus = 65_536;

/** Bytes of a CPU in a table: u64 place, u64 size. */
const entrySize = 16;

/** Longest list of trace clocks. */
const longestClocks = 4096;

/** Reads a file of version 6: a fixed sequence without sections. */
export class Version6 {
  private readonly file: RandomAccess;
  private readonly cursor: Cursor;
  private readonly options = new Options();
  private readonly instances: { readonly at: number; readonly name: string }[] = [];
  private readonly sink: ConditionSink;
  /** CPUs in all tables. */
  private entries = 0;

  /** @param cursor stands behind the initial header */
  constructor(file: RandomAccess, cursor: Cursor, sink: ConditionSink) {
    this.file = file;
    this.cursor = cursor;
    this.sink = sink;
  }

  /**
   * @param pageSize as the initial header says
   * @throws InputError when no records can be found or understood
   */
  read(pageSize: number, formats: Formats): Layout {
    const { cursor, options, file } = this;
    const { longSize, pageSize: headerPageSize } = readHeaderInfo(cursor);
    readFtraceFormats(cursor, formats);
    readEventFormats(cursor, formats);
    const kallsyms = { length: cursor.u32('the length of kallsyms'), at: cursor.position };
    cursor.skip(kallsyms.length, 'kallsyms');
    cursor.skip(cursor.u32('the length of the printk formats'), 'the printk formats');
    const comms = this.comms();
    const cpuAt = cursor.position;
    const cpus = cursor.u32('a number of CPUs');
    if (cpus > mostCpus) throw cursor.error(cpuAt, `at most ${mostCpus} CPUs`, `${cpus}`);
    let mark = this.mark();
    if (mark === optionsMark) {
      this.readOptions();
      mark = this.mark();
    }
    let text: Bytes | undefined;
    const buffers: BufferLayout[] = [];
    if (mark === latencyMark) {
      const start = cursor.position;
      text = { size: file.size - start, read: (into, position) => file.read(into, start + position) };
    } else {
      const table = this.table(cursor, cpus);
      const clock = options.clock === '' ? this.clock() : (options.clock ?? '');
      const buffer = (name: string, data: readonly CpuData[]) => ({
        name,
        clock,
        pageSize,
        isCompressed: false,
        cpus: data,
      });
      buffers.push(buffer('', table));
      for (const { at, name } of this.instances) buffers.push(buffer(name, this.instance(at, options.cpus ?? cpus)));
    }
    return {
      version: 6,
      isBigEndian: cursor.isBigEndian,
      longSize,
      headerPageSize,
      buffers,
      text,
      formats,
      comms,
      kallsyms: () =>
        beside(this.sink, 'the symbols of the kernel', () =>
          readKallsyms(new Cursor(file, cursor.isBigEndian, kallsyms.at), kallsyms.length),
        ),
      kernel: options.kernel,
      cpus: options.cpus ?? cpus,
      clock: options.times,
      guests: options.guests,
      stats: options.stats,
      counts: options.counts,
    };
  }

  private comms(): ReadonlyMap<number, string> {
    const { cursor, file } = this;
    const names = new Cursor(file, cursor.isBigEndian, cursor.position);
    cursor.skip(cursor.u64('the length of the thread names'), 'the thread names');
    return beside(this.sink, 'the names of the threads', () => readCmdlines(names)) ?? new Map();
  }

  private mark(): string {
    const at = this.cursor.position;
    const found = this.cursor.bytes(markLength, 'a mark').toString('latin1');
    if (found !== optionsMark && found !== latencyMark && found !== flyrecordMark)
      throw this.cursor.error(at, '`options`, `latency` or `flyrecord`', JSON.stringify(found));
    return found;
  }

  private readOptions(): void {
    const { cursor } = this;
    for (let id = cursor.u16('an option'); id !== OptionId.done; id = cursor.u16('an option')) {
      const size = cursor.u32('the size of an option');
      const at = cursor.position;
      const data = cursor.bytes(size, `option ${id}`);
      if (this.options.take(id, data, cursor.isBigEndian, at) || id !== OptionId.buffer) continue;
      const inner = new Cursor(
        { size, read: (into, position) => data.copy(into, 0, position, position + into.length) },
        cursor.isBigEndian,
        0,
        ` of the option at byte ${at}`,
      );
      this.instances.push({ at: inner.u64('the place of a buffer'), name: inner.string('the name of a buffer') });
    }
  }

  /** `flyrecord`'s table: for each CPU u64 offset and u64 size. */
  private table(cursor: Cursor, cpus: number): CpuData[] {
    // Many instances could name one large table.
    this.entries += cpus;
    if (this.entries * entrySize > this.file.size)
      throw cursor.error(cursor.position, 'tables of CPUs that fit the file', `${this.entries} CPUs`);
    const table: CpuData[] = [];
    for (let cpu = 0; cpu < cpus; cpu++)
      table.push({
        cpu,
        offset: cursor.u64("the place of a CPU's data"),
        size: cursor.u64("the size of a CPU's data"),
      });
    return table;
  }

  /** An instance's own table, which newer writers put behind a list of options. */
  private instance(at: number, cpus: number): CpuData[] {
    const cursor = new Cursor(this.file, this.cursor.isBigEndian, at);
    let mark = cursor.bytes(markLength, 'the mark of a buffer').toString('latin1');
    if (mark === optionsMark) {
      for (let id = cursor.u16('an option'); id !== OptionId.done; id = cursor.u16('an option'))
        cursor.skip(cursor.u32('the size of an option'), `option ${id}`);
      mark = cursor.bytes(markLength, 'the mark of a buffer').toString('latin1');
    }
    if (mark !== flyrecordMark) throw cursor.error(at, '`flyrecord`', JSON.stringify(mark));
    return this.table(cursor, cpus);
  }

  /** The text of `trace_clock` behind the table; some old writers left it damaged, then it is the default clock. */
  private clock(): string {
    try {
      const length = this.cursor.u64('the length of the clocks');
      if (length > longestClocks) return 'local';
      return currentClock(this.cursor.bytes(length, 'the clocks').toString('latin1')) ?? 'local';
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.sink.condition('damaged-metadata', 1, this.cursor.position, 'the clock of the trace');
      return 'local';
    }
  }
}
