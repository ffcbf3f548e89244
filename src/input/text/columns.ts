import { copyWords, wordCount } from './words.js';

/** Places for remembered columns, less one. */
const slotMask = 511;
/** Columns longer than this many words are not remembered: a pid, a tgid, CPU, flags and seconds are shorter. */
const mostWords = 16;

/**
 * What the columns from the `-` before the pid to the dot in the time mean, remembered by their bytes:
 *
 *            CPU 0/KVM-2113    [003] d..2.   812.402115: kvm_entry: …
 *                     |------ remembered ------|
 *
 * A thread writes many records within one second, and in all of them these bytes are the same. `Prefix` computes
 * everything in here from these bytes alone, so where they are found again its result is known without it.
 */
export class Columns {
  /** Number of bytes from the `-` to the dot, both included, as the last line had them; 0 when nothing is known. */
  length = 0;
  pid = 0;
  tgid = -1;
  cpu = 0;
  context = -1;
  isLatency = false;
  seconds = 0;
  private readonly words = new Int32Array((slotMask + 1) * mostWords);
  private readonly lengths = new Int32Array(slotMask + 1);
  private readonly pids = new Float64Array(slotMask + 1);
  private readonly tgids = new Float64Array(slotMask + 1);
  private readonly cpus = new Int32Array(slotMask + 1);
  private readonly contexts = new Int32Array(slotMask + 1);
  private readonly latencies = new Uint8Array(slotMask + 1);
  private readonly allSeconds = new Float64Array(slotMask + 1);

  /** Looks up the `length` bytes at `from`, which exist. @returns whether the fields now tell what they mean. */
  recall(view: DataView, from: number): boolean {
    const length = this.length;
    const slot = slotOf(view, from, length);
    if (this.lengths[slot] !== length) return false;
    const words = this.words;
    const first = slot * mostWords;
    const last = wordCount(length) - 1;
    for (let i = 0; i < last; i++) if (view.getInt32(from + i * 4, true) !== words[first + i]) return false;
    if (view.getInt32(from + length - 4, true) !== words[first + last]) return false;
    this.pid = this.pids[slot]!;
    this.tgid = this.tgids[slot]!;
    this.cpu = this.cpus[slot]!;
    this.context = this.contexts[slot]!;
    this.isLatency = this.latencies[slot] === 1;
    this.seconds = this.allSeconds[slot]!;
    return true;
  }

  /** Remembers that the `length` bytes at `from` mean what the fields tell. */
  keep(view: DataView, from: number, length: number): void {
    this.length = 0;
    if (length < 4 || wordCount(length) > mostWords) return;
    this.length = length;
    const slot = slotOf(view, from, length);
    this.lengths[slot] = length;
    copyWords(view, from, length, this.words, slot * mostWords);
    this.pids[slot] = this.pid;
    this.tgids[slot] = this.tgid;
    this.cpus[slot] = this.cpu;
    this.contexts[slot] = this.context;
    this.latencies[slot] = this.isLatency ? 1 : 0;
    this.allSeconds[slot] = this.seconds;
  }
}

function slotOf(view: DataView, from: number, length: number): number {
  let hash = view.getInt32(from + length - 4, true);
  const last = wordCount(length) - 1;
  for (let i = 0; i < last; i++) hash = Math.imul(hash, 0x2c1b3c6d) ^ view.getInt32(from + i * 4, true);
  hash = Math.imul(hash, 0x2c1b3c6d);
  return (hash >>> 20) & slotMask;
}
