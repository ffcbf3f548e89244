import type { Guest } from '../record.js';
import { DatClock, readTimeShift, type TimeShift } from './clock.js';
import { bytesOf, Cursor } from './cursor.js';
import type { CpuStat } from './layout.js';
import { type AllCounts, CountsReader } from './statistics.js';

/** Numbers of the options; every other one is passed over by its size. */
export const OptionId = {
  done: 0,
  date: 1,
  cpuStat: 2,
  buffer: 3,
  traceClock: 4,
  uname: 5,
  offset: 7,
  cpuCount: 8,
  timeShift: 12,
  guest: 13,
  tscToNsec: 14,
  headerInfo: 16,
  ftraceEvents: 17,
  eventFormats: 18,
  kallsyms: 19,
  cmdlines: 21,
  bufferText: 22,
} as const;

/** More vcpus than KVM can have (KVM_MAX_VCPUS is 512 on arm64). */
const mostVcpus = 4096;

/** Longest name of a kernel and its machine; uname gives at most 65 bytes for each part. */
const longestUname = 1024;

/** What the options say that does not depend on the file's version. */
export class Options {
  readonly stats: CpuStat[] = [];
  readonly guests: Guest[] = [];
  kernel: string | undefined;
  /** Empty where the option is there and names none. */
  clock: string | undefined;
  cpus: number | undefined;
  private readonly countsReader = new CountsReader();
  private timeOffset = 0n;
  private tsc: { mult: number; shift: number } | undefined;
  private timeShift: TimeShift | undefined;

  get counts(): AllCounts {
    return this.countsReader.counts;
  }

  get times(): DatClock {
    return new DatClock(this.tsc, this.timeShift, this.timeOffset);
  }

  /**
   * Takes one option.
   *
   * @param at place of its data in the file, for messages
   * @returns whether it is one of those that both versions have
   * @throws InputError when its data is too short for what it must hold
   */
  take(id: number, data: Buffer, isBigEndian: boolean, at: number): boolean {
    const cursor = new Cursor(bytesOf(data), isBigEndian, 0, ` of the option at byte ${at}`);
    switch (id) {
      case OptionId.date:
        this.timeOffset += integer(data) * 1000n;
        return true;
      case OptionId.offset:
        this.timeOffset += integer(data);
        return true;
      case OptionId.cpuStat: {
        const stat = statOf(textOf(data));
        if (stat !== undefined) this.stats.push(stat);
        this.countsReader.take(textOf(data));
        return true;
      }
      case OptionId.traceClock:
        this.clock = currentClock(textOf(data)) ?? '';
        return true;
      case OptionId.uname:
        // `Linux NODE RELEASE MACHINE`
        this.kernel = /^\S+ .*?(\d+\.\d+\S*)/.exec(textOf(data.subarray(0, longestUname)))?.[1];
        return true;
      case OptionId.cpuCount:
        this.cpus = cursor.u32('a number of CPUs');
        return true;
      case OptionId.guest:
        this.guests.push(guestOf(cursor));
        return true;
      case OptionId.tscToNsec: {
        const mult = cursor.u32('a multiplier');
        const shift = cursor.u32('a shift');
        if (shift > 63) throw cursor.error(4, 'a shift of at most 63', `${shift}`);
        // Without a multiplier the recorder could not tell, and times stay counts.
        if (mult !== 0) this.tsc = { mult, shift };
        return true;
      }
      case OptionId.timeShift:
        this.timeShift = readTimeShift(cursor);
        return true;
      default:
        return false;
    }
  }
}

/** The clock in brackets: `[local] global counter …`. */
export function currentClock(text: string): string | undefined {
  return /\[(\w[\w-]*)\]/.exec(text)?.[1];
}

function textOf(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString('utf8', 0, end < 0 ? data.length : end);
}

/** A whole number as C's strtoll reads it, `0x…` or decimal; 0 where there is none. */
function integer(data: Buffer): bigint {
  const [, sign, digits] = /^\s*([+-]?)(0[xX][0-9a-fA-F]{1,16}|\d{1,19})/.exec(textOf(data)) ?? [];
  if (digits === undefined) return 0n;
  return sign === '-' ? -BigInt(digits) : BigInt(digits);
}

function statOf(text: string): CpuStat | undefined {
  const value = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  const cpu = /^CPU: (\d{1,5})$/m.exec(text)?.[1];
  if (cpu === undefined) return undefined;
  const lost = value('overrun') + value('commit overrun') + value('dropped events');
  return { cpu: Number(cpu), lost: Math.min(lost, Number.MAX_SAFE_INTEGER) };
}

function guestOf(cursor: Cursor): Guest {
  const name = cursor.string('the name of a guest');
  cursor.skip(8, "a guest's trace id");
  const count = cursor.u32('a number of vcpus');
  if (count > mostVcpus) throw cursor.error(cursor.position - 4, `at most ${mostVcpus} vcpus`, `${count}`);
  const vcpus: { id: number; pid: number }[] = [];
  for (let index = 0; index < count; index++)
    vcpus.push({ id: cursor.u32('a vcpu'), pid: cursor.u32("a vcpu's thread") });
  return { name, vcpus };
}
