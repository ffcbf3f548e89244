/** Reading of arguments whose labels stand where they stood in an earlier line. */
import { Bytes, skipBlanks, wide } from './bytes';
import {
  blanksPart,
  classes,
  endings,
  endsPart,
  fieldPart,
  kindPart,
  lengthPart,
  literalPart,
  mostFields,
  mostSteps,
  ownerPart,
  placementPart,
  plans,
  stepSize,
  values,
} from './memory';
import { hex, number, put } from './numbers';
import { Texts } from './texts';

// Where a step's fixed text stands: the members of `Placement` in `scanner.ts` above; 0 ends a plan.
const elsewhere: i32 = 2;

// How its value is read: the members of `ValueKind` there.
const numberKind: i32 = 1;
const pointerKind: i32 = 2;
const symbolKind: i32 = 3;

/** What may follow the last value: the member of `Ending` there that allows nothing. */
const lineEnds: i32 = 2;

/** A member of `ByteClass` in `bytes.ts` there. */
const beforeLabelClass: i32 = 1;

/**
 * A symbol of this owner at `from`, up to a byte of the classes `ends`; with none of them up to the end of the line.
 * Returns the position after it, or -1 where it was not kept.
 */
function symbol(owner: i32, from: i32, end: i32, ends: i32, field: i32): i32 {
  let to = from;
  if (ends === 0) {
    to = end;
    while (to > from && load<u8>(to - 1) <= 0x20) to--;
  } else {
    while (to < end && (load<u8>(classes + load<u8>(to)) & ends) === 0) to++;
  }
  const place = Texts.place(owner, from, to - from);
  if (place < 0) return -1;
  put(field, load<u32>(values + (place << 2)));
  return to;
}

/** First position in [from, end) where the text stands, or `end`. */
function seek(from: i32, end: i32, text: i32, length: i32): i32 {
  const first = v128.load8_splat(text);
  for (let block = from; block < end; block += wide) {
    let found = i8x16.bitmask(i8x16.eq(v128.load(block), first));
    for (; found !== 0; found &= found - 1) {
      const at = block + ctz(found);
      if (Bytes.isText(at, text, length)) return at;
    }
  }
  return end;
}

function isBeforeLabel(at: i32): bool {
  return (load<u8>(classes + load<u8>(at)) & beforeLabelClass) !== 0;
}

/**
 * Reads the arguments in [from, end) by plan `index` (see `Step` in `scanner.ts` above) into the fields of a record.
 * Returns the position after the last step, or -1 where the line is another one.
 */
export function planned(index: i32, from: i32, end: i32, record: i32): i32 {
  const ending = load<i32>(endings + (index << 2));
  if (ending === 0) return -1;
  let step = plans + index * mostSteps * stepSize;
  let at = from;
  for (let placement = load<i32>(step + placementPart); placement !== 0; placement = load<i32>(step + placementPart)) {
    const length = load<i32>(step + lengthPart);
    const literal = step + literalPart;
    if (placement === elsewhere) at = seek(at, end, literal, length);
    else if (!Bytes.isText(at, literal, length)) return -1;
    at += length;
    if (at > end) return -1;
    if (load<i32>(step + blanksPart) !== 0) at = skipBlanks(at);
    const kind = load<i32>(step + kindPart);
    const field = record * mostFields + load<i32>(step + fieldPart);
    if (kind === numberKind) at = number(at, field);
    else if (kind === pointerKind) at = hex(at, field);
    else if (kind === symbolKind) at = symbol(load<i32>(step + ownerPart), at, end, load<i32>(step + endsPart), field);
    if (at < 0) return -1;
    step += stepSize;
    // Behind the last byte of a symbol a label may begin, unless nothing more is looked for.
    if (kind === symbolKind && load<i32>(step + placementPart) !== 0 && isBeforeLabel(at - 1)) return -1;
  }
  return ending === lineEnds && at !== end ? -1 : at;
}
