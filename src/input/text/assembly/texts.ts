/** Texts that were seen before, found again by their bytes. */
import { Bytes } from './bytes';
import { keys, longestText, places, tags, values } from './memory';

/** Any large odd numbers. */
const mixer: u64 = ((<u64>0x2c1b3c6d) << 32) | 0x297a2d39;
const otherMixer: u64 = ((<u64>0x9e3779b9) << 32) | 0x7f4a7c15;

/** See `Bytes`. */
export class Texts {
  /** A number of 64 bits that is another one for most other texts; of the longest not all bytes count. */
  @inline
  static hash(from: i32, length: i32): u64 {
    if (length < 8) return (load<u64>(from) << ((8 - length) << 3)) * mixer;
    // Four words, the last of which ends the text. Digits, which differ most, fill half a byte: two words fit one.
    const last = length - 8;
    const third = <u32>last / 3;
    const odd = load<u64>(from) ^ rotl(load<u64>(from + third), 4);
    const even = load<u64>(from + last - third) ^ rotl(load<u64>(from + last), 4);
    return odd * mixer + even * otherMixer;
  }

  /** The first of the two places that a text with this hash may have. */
  @inline
  static pair(hash: u64): i32 {
    return <i32>(hash >> 48) & (places - 2);
  }

  /** What tells the texts of a pair apart, almost always. */
  @inline
  static tag(hash: u64, owner: i32, length: i32): i32 {
    return ((<i32>(hash >> 32)) << 16) | (owner << 7) | length;
  }

  /** The place of the text [from, from + length) of this owner, or -1 when it was not kept. */
  @inline
  static place(owner: i32, from: i32, length: i32): i32 {
    if (<u32>(length - 1) >= <u32>longestText) return -1;
    const hash = Texts.hash(from, length);
    const tag = Texts.tag(hash, owner, length);
    let place = Texts.pair(hash);
    place += i32(load<i32>(tags + (place << 2)) !== tag);
    if (load<i32>(tags + (place << 2)) !== tag) return -1;
    return Bytes.isText(from, keys + place * longestText, length) ? place : -1;
  }
}

/** The place of the text [from, from + length) of this owner, or -1 when it was not kept. */
export function recall(owner: i32, from: i32, length: i32): i32 {
  return Texts.place(owner, from, length);
}

/** Which place of a pair was given away last. */
let turn: i32 = 0;

/**
 * Keeps the text [from, from + length), 1 to `longestText` bytes, and what it means. Returns its place; another text that
 * was there is forgotten.
 */
export function keep(owner: i32, from: i32, length: i32, value: i32): i32 {
  let place = recall(owner, from, length);
  if (place < 0) {
    const hash = Texts.hash(from, length);
    const tag = Texts.tag(hash, owner, length);
    place = Texts.pair(hash);
    const first = load<i32>(tags + (place << 2));
    const second = load<i32>(tags + (place << 2) + 4);
    // Another text with the same tag would hide this one, so it gives way.
    if (second === tag) place++;
    else if (first !== tag && first !== 0) {
      // A free place, or each in turn.
      turn = second === 0 ? 1 : turn ^ 1;
      place += turn;
    }
    store<i32>(tags + (place << 2), tag);
    memory.copy(keys + place * longestText, from, length);
  }
  store<i32>(values + (place << 2), value);
  return place;
}
