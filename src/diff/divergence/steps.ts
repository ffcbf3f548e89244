import type { VcpuName } from '../../check/facts.js';
import type { Naming } from '../../check/findings.js';
import type { TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { type VcpuState, yes } from '../../machine/state.js';
import { codeOf, Role, roleOf } from './code.js';
import { GrowingPath, otherPath, Paths } from './paths.js';
import { LoadAfter, segmentKind } from './segment.js';

/** Most pieces of paths that are kept of all vcpus together: what comes later is not aligned. */
const mostSegments = 1 << 17;
/** Pieces for which there is room in the beginning. */
const firstRoom = 1024;

/** The pieces of one vcpu's path in their order, one column a fact. */
export class VcpuSteps {
  length = 0;
  /** See `segmentKind`. */
  kind = new Uint16Array(firstRoom);
  /** Number in the recording's `paths`. */
  path = new Int32Array(firstRoom);
  /** Of the values that the steps carried: registers, offsets, deadlines of the guest. */
  values = new Int32Array(firstRoom);
  /** Nanoseconds since the recording's first record. */
  time = new Float64Array(firstRoom);
  position = new Float64Array(firstRoom);

  /** A piece begins. @returns its number, for `conclude` */
  begin(kind: number, { time, position }: { readonly time: number; readonly position: number }): number {
    if (this.length === this.kind.length) this.#grow();
    this.kind[this.length] = kind;
    this.path[this.length] = otherPath;
    this.time[this.length] = time;
    this.position[this.length] = position;
    return this.length++;
  }

  /** What the piece was is known; without that its path remains unknown. */
  conclude(piece: number, path: number, values: number): void {
    this.path[piece] = path;
    this.values[piece] = values;
  }

  #grow(): void {
    const room = 2 * this.length;
    const larger = <T extends { set(from: T): void }>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.kind = larger(new Uint16Array(room), this.kind);
    this.path = larger(new Int32Array(room), this.path);
    this.values = larger(new Int32Array(room), this.values);
    this.time = larger(new Float64Array(room), this.time);
    this.position = larger(new Float64Array(room), this.position);
  }
}

/** No piece is under way. */
const nothing = -1;

/** The piece of path that a vcpu is on, and an interrupt that cuts into it. */
export class Walk {
  readonly steps = new VcpuSteps();
  readonly main = new GrowingPath();
  readonly handler = new GrowingPath();
  /** The pieces under way, `nothing` where there is none. */
  mainPiece = nothing;
  handlerPiece = nothing;
  /** Number of the step of the main path that is its last put, `nothing` where there is none; and where that is. */
  put = nothing;
  readonly putPlace = { time: 0, position: 0 };
  /** It was blocked when it was put last. */
  asleep = false;
  toUserspace = false;
  /** Its last piece ended with an entry. */
  entered = false;
}

/**
 * The beginning of each vcpu's path through the lifecycle: pieces that begin with an exit, a load or an interrupt, each
 * with what the host does until the next one. Bounded: a recording of which more than 131,072 pieces have been
 * seen is compared up to there.
 */
export class Steps {
  readonly paths = new Paths();
  /** By vcpu, undefined where it has no event. */
  readonly vcpus: (VcpuSteps | undefined)[] = [];
  /** By vcpu, who it is; known at the end. */
  names: readonly (VcpuName | null)[] = [];
  /** Pieces that may still be kept. */
  room = mostSegments;
  /** Records were lost in what was kept. */
  lost = false;
  /** By kind and certainty, the vcpus' events up to where nothing is kept any more. */
  certainties: readonly (readonly number[])[] = [];
  readonly naming: Naming;
  readonly #walks: Walk[] = [];

  constructor(naming: Naming) {
    this.naming = naming;
  }

  /** Nothing is kept any more, and the recording may go on. */
  get cut(): boolean {
    return this.room <= 0;
  }

  /** An event of a vcpu, while there is room. @param walk the vcpu's own */
  event(event: TimerEvent, vcpu: VcpuState, walk: Walk): void {
    const { kind } = event;
    switch (roleOf[kind]) {
      case Role.none:
        return;
      case Role.exit:
        this.#start(walk, segmentKind.exit(event.exitCode, event.exceptionClass), event);
        return;
      case Role.load: {
        const after = reasonOf(walk);
        if (after === LoadAfter.preemption) this.#preempted(walk);
        this.#start(walk, segmentKind.load(after), event);
        walk.toUserspace = false;
        return;
      }
      case Role.entry:
        this.#endHandler(walk);
        this.#step(walk.main, event);
        this.#end(walk);
        walk.entered = true;
        return;
      case Role.interrupt: {
        this.#endHandler(walk);
        if (kind === Kind.soft_expire) walk.main.withdraw(softCancel(event));
        const inGuest = vcpu.inGuest === yes;
        walk.handlerPiece = walk.steps.begin(segmentKind.interrupt(inGuest), event);
        this.#step(walk.handler, event);
        return;
      }
      case Role.expiry:
        walk.main.withdraw(Kind.bg_cancel);
        return;
      case Role.line:
        this.#step(walk.handlerPiece === nothing ? walk.main : walk.handler, event);
        return;
      case Role.interruptEnd:
        this.#endHandler(walk);
        return;
      default:
        this.#endHandler(walk);
        if (kind === Kind.userspace_exit) walk.toUserspace = true;
        if (kind === Kind.put) {
          walk.put = walk.main.length;
          walk.asleep = vcpu.blocked === yes;
          walk.putPlace.time = event.time;
          walk.putPlace.position = event.position;
        }
        this.#step(walk.main, event);
    }
  }

  end(): void {
    this.names = this.#walks.map((_, vcpu) => this.naming.vcpu(vcpu));
    // What was under way has not been seen to its end.
    this.#walks.length = 0;
  }

  /** How most of the events of a kind of step are known, see `Certainty`; undefined where there is none. */
  basis(kind: Kind): number | undefined {
    const counts = roleOf[kind] === Role.none ? [] : (this.certainties[kind] ?? []);
    const most = Math.max(0, ...counts);
    return most === 0 ? undefined : counts.indexOf(most);
  }

  /** Where a vcpu is. */
  walk(vcpu: number): Walk {
    while (this.#walks.length <= vcpu) {
      const walk = new Walk();
      this.#walks.push(walk);
      this.vcpus.push(walk.steps);
    }
    return this.#walks[vcpu]!;
  }

  #step(path: GrowingPath, event: TimerEvent): void {
    const code = codeOf(event);
    path.add(code);
    let { values } = path;
    values = (Math.imul(values, 31) + code + 512 * event.ctl) | 0;
    if (event.hasCval) values = (Math.imul(values, 31) + (event.cvalHi ^ Math.imul(event.cvalLo, 17))) | 0;
    if (event.hasValue) values = (Math.imul(values, 31) + (event.valueHi ^ Math.imul(event.valueLo, 17))) | 0;
    path.values = values;
  }

  /** An exit or a load: what went before has ended. What was done since the entry belongs to the exit, printed late. */
  #start(walk: Walk, kind: number, event: TimerEvent): void {
    this.#endHandler(walk);
    if (walk.mainPiece !== nothing || !walk.entered) this.#end(walk);
    walk.entered = false;
    walk.mainPiece = walk.steps.begin(kind, event);
    this.#step(walk.main, event);
  }

  /** The scheduler's put is a piece of its own; of what it cut into it is not known how it would have gone on. */
  #preempted(walk: Walk): void {
    const { main, put, steps } = walk;
    if (put === nothing || walk.mainPiece === nothing) return;
    this.#endHandler(walk);
    const path = main.from(put);
    const piece = steps.begin(segmentKind.preemption, walk.putPlace);
    steps.conclude(piece, this.paths.number(path, path.length), main.values);
    walk.mainPiece = nothing;
  }

  #end(walk: Walk): void {
    const { main } = walk;
    walk.put = nothing;
    if (walk.mainPiece !== nothing) this.#conclude(walk, walk.mainPiece, main);
    walk.mainPiece = nothing;
    main.clear();
  }

  #endHandler(walk: Walk): void {
    if (walk.handlerPiece === nothing) return;
    this.#conclude(walk, walk.handlerPiece, walk.handler);
    walk.handlerPiece = nothing;
    walk.handler.clear();
  }

  #conclude({ steps }: Walk, piece: number, { codes, length, values }: GrowingPath): void {
    steps.conclude(piece, this.paths.number(codes, length), values);
    this.room--;
  }

  /** Records were lost: what was under way is not known. */
  loss(): void {
    if (this.cut) return;
    this.lost = true;
    for (const walk of this.#walks) {
      walk.mainPiece = nothing;
      walk.handlerPiece = nothing;
      walk.entered = false;
      walk.main.clear();
      walk.handler.clear();
    }
  }
}

/** The step that takes a soft timer from the queue. */
function softCancel(expiry: TimerEvent): number {
  return (codeOf(expiry) ^ Kind.soft_expire) | Kind.soft_cancel;
}

/** What a load follows. */
function reasonOf({ steps, toUserspace, asleep }: Walk): LoadAfter {
  if (toUserspace) return LoadAfter.userspace;
  if (asleep) return LoadAfter.sleep;
  return steps.length === 0 ? LoadAfter.unknown : LoadAfter.preemption;
}
