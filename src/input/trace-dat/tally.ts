/** What all CPUs of a file share: which events are wanted, and how many records of each there were. */
export class Tally {
  /** By event id: index of the event among the wanted ones, or -1. */
  readonly wanted = new Int16Array(0x10000).fill(-1);
  /** Records by id that nobody wants. */
  readonly unused = new Uint32Array(0x10000);
  /** By id, place of the first of them. */
  readonly firstUnused = new Float64Array(0x10000);
  /** Ids of which there are any. */
  readonly unusedIds: number[] = [];
  /** Raw time from which times count, in two halves. */
  baseHi = 0;
  baseLo = 0;

  /** Counts a record that nobody wants. */
  leave(id: number, position: number): void {
    if (this.unused[id]!++ === 0) this.leaveFirst(id, position);
  }

  /** Tells of the first record of an event that nobody wants; it has been counted. */
  leaveFirst(id: number, position: number): void {
    this.firstUnused[id] = position;
    this.unusedIds.push(id);
  }
}
