/**
 * Four bytes in one step: comparing is what the readers do most, and a word costs as much as a byte. What cannot be
 * compared so (fewer than four bytes, a line's last ones) is compared by bytes.
 */

const wordSize = 4;

/** The word-wise view of the chunk at hand, made anew only when the chunk changes. */
export class Words {
  private bytes: Uint8Array | undefined;
  private view: DataView = new DataView(new ArrayBuffer(0));

  /** The view of `bytes`; positions are the same. */
  of(bytes: Uint8Array): DataView {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    return this.view;
  }
}

/** A fixed text to compare with. */
export class Literal {
  readonly length: number;
  private readonly bytes: Uint8Array;
  /** The text's words, one behind the other; the last one is the text's last four bytes and may overlap. */
  private readonly words: Int32Array;
  private readonly lastWord: number;

  constructor(text: Uint8Array) {
    // A copy: `text` may lie in a chunk.
    this.bytes = new Uint8Array(text);
    this.length = text.length;
    this.words = new Int32Array(this.length < wordSize ? 0 : wordCount(this.length));
    this.lastWord = this.words.length - 1;
    if (this.lastWord >= 0) copyWords(new DataView(this.bytes.buffer), 0, this.length, this.words, 0);
  }

  /** Whether the text stands at `at`, all of it before `end`. */
  standsAt(view: DataView, at: number, end: number): boolean {
    if (at + this.length > end) return false;
    const { words, lastWord } = this;
    if (lastWord < 0) return this.bytesStandAt(view, at);
    for (let i = 0; i < lastWord; i++) if (view.getInt32(at + i * wordSize, true) !== words[i]) return false;
    return view.getInt32(at + this.length - wordSize, true) === words[lastWord];
  }

  private bytesStandAt(view: DataView, at: number): boolean {
    for (let i = 0; i < this.length; i++) if (view.getUint8(at + i) !== this.bytes[i]) return false;
    return true;
  }
}

/** Number of words that cover `length` bytes, four at least. */
export function wordCount(length: number): number {
  return (length + wordSize - 1) >> 2;
}

/** Copies the words that cover [from, from + length) to `into` from `slot` on; the last may overlap the one before. */
export function copyWords(view: DataView, from: number, length: number, into: Int32Array, slot: number): void {
  const last = wordCount(length) - 1;
  for (let i = 0; i < last; i++) into[slot + i] = view.getInt32(from + i * wordSize, true);
  into[slot + last] = view.getInt32(from + length - wordSize, true);
}
