import { Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { emptyList } from '../events/list.js';
import { U64Map } from '../events/u64.js';
import { loadKinds, runKinds } from './kinds.js';

/** Who a vcpu is (specification §3.5): the identity that every event of it is given. */
export class Vcpu {
  /** Index in the run, from 0 in order of appearance. */
  readonly index: number;
  /** The kernel's vcpu_id, -1 until a record names it. */
  id = -1;
  /** Thread that runs it. */
  pid: number;
  tgid = -1;
  /** Thread that entered the guest last: up to 4.16 other threads load the vcpu as well, for an ioctl. */
  entrant = -1;
  /** VM number that the notation or the recorder names, -1 elsewhere. */
  vm = -1;
  /** A record has shown its `struct kvm_vcpu` pointer. */
  hasPointer = false;
  pointerHi = 0;
  pointerLo = 0;
  /** Threads that have used its pointer: its own, and those of the VMM that set it up or ask for its registers. */
  readonly users: number[] = [];
  /** Those of them that were in KVM_RUN with it, and the last one, -1 while none was. */
  readonly runners: number[] = [];
  runner = -1;
  /** The vcpu that its pointer named before, where that may be the same one. */
  former: Vcpu | undefined;
  /** Its pointer names another vcpu by now, and so do those of its hrtimers. */
  isGone = false;
  /** Virtual counter offset, where a probe showed it: equal for all vcpus of a VM. */
  offset: string | undefined;
  /** Number of events attributed to it. */
  events = 0;
  /** Time from which its load state is known, nanoseconds since the trace began; negative before. */
  knownSince = Number.NEGATIVE_INFINITY;

  /** CPU it is loaded on, -1 none, -2 not known. */
  cpu = -2;
  /** Between entry and exit: 1, 0, or -1 not known. */
  inGuest = -1;
  /** The put that is under way, or none: the thread's next event that is no part of it ends it. */
  putCpu = -1;
  /** The put under way has saved the virtual and the physical timer. */
  savedVirtual = false;
  savedPhysical = false;
  /** Its timer map has a direct physical timer, which a put saves as well. */
  hasDirectPhysical = false;
  /** Contexts that are direct by its timer map, and whether a hypervisor runs in it: its map has emulated virtual timers. */
  directVtimer: number = Timer.vtimer;
  directPtimer: number = Timer.ptimer;
  isNested = false;
  /** Levels that the load under way has reported: the first is the virtual timer's. */
  reports = 0;
  /** Timers that its thread has reported low since the last put or load: bit by context; -1 once it is restored. */
  lowered = 0;
  /** In WFI or another wait of the vcpu, as derived. */
  waiting = false;
  /** Exception class of the last exit, -1 for interrupts. */
  exitClass = -1;
  /** CPU on which its background timer fired last, -1 since it was armed again, and when. */
  firedCpu = -1;
  firedAt = Number.NEGATIVE_INFINITY;

  constructor(index: number, pid: number) {
    this.index = index;
    this.pid = pid;
  }

  /** The thread that it is known by. */
  get thread(): number {
    return this.entrant >= 0 ? this.entrant : this.pid;
  }
}

/** A host thread, as far as timer events concern it. */
export class Thread {
  readonly pid: number;
  /** The vcpu that it runs. */
  vcpu: Vcpu | undefined;
  /** vcpu id of its last timer map outside interrupts. */
  mapId = -1;
  /** Context of the last kvm_timer_emulate of the thread, for the soft hrtimer that follows. */
  emulated = -1;

  constructor(pid: number) {
    this.pid = pid;
  }
}

/** Stands for all threads that have nothing to do with vcpus; never written to, and of no pid that a record has. */
export const nobody = new Thread(-2);

/** All threads and vcpus of a trace, by every name that records give them. */
export class Threads {
  readonly vcpus: Vcpu[] = emptyList();
  readonly #threads = new Map<number, Thread>();
  readonly #byPointer = new U64Map<Vcpu>();
  readonly #byName = new Map<number, Vcpu>();
  /** Whether ioctls load a vcpu, which KVM_RUN alone does from 4.17 on: so until a timer map, of 5.1, is seen. */
  ioctlsLoad = true;
  /** A vcpu that the event at hand may be of, or not: nothing known of it holds any more. Whoever tells of it clears this. */
  doubted: Vcpu | undefined;

  find(pid: number): Thread | undefined {
    return this.#threads.get(pid);
  }

  /** The thread, or a stand-in for all that have nothing to do with vcpus; never written to. */
  known(pid: number): Thread {
    return this.#threads.get(pid) ?? nobody;
  }

  get(pid: number): Thread {
    let thread = this.#threads.get(pid);
    if (thread === undefined) {
      thread = new Thread(pid);
      this.#threads.set(pid, thread);
    }
    return thread;
  }

  /** The vcpu of a thread that has proved to run one; made when it is the first time. */
  ofThread(thread: Thread): Vcpu {
    if (thread.vcpu === undefined) {
      thread.vcpu = this.#add(thread.pid);
      thread.vcpu.id = thread.mapId;
    }
    return thread.vcpu;
  }

  /** The vcpu of a `struct kvm_vcpu` pointer that was seen before. */
  byPointer(hi: number, lo: number): Vcpu | undefined {
    return this.#byPointer.get(hi, lo);
  }

  /** The vcpu of the `struct kvm_vcpu` pointer of an event; made when it is the first time. */
  ofPointer(event: TimerEvent): Vcpu {
    const { vcpuPointerHi: hi, vcpuPointerLo: lo } = event;
    let vcpu = this.#byPointer.get(hi, lo);
    if (vcpu === undefined) vcpu = this.#show(this.#add(-1), hi, lo);
    else if (this.#isAnother(vcpu, event)) vcpu = this.#succeed(vcpu, event);
    else if (isStranger(vcpu, event)) this.doubted = vcpu;
    if (!vcpu.users.includes(event.pid)) vcpu.users.push(event.pid);
    return vcpu;
  }

  /** The vcpu that a notation names by VM and id. */
  ofName(vm: number, id: number, pid: number): Vcpu {
    const key = vm * 65536 + id;
    let vcpu = this.#byName.get(key);
    if (vcpu === undefined) {
      vcpu = this.#add(pid);
      vcpu.vm = vm;
      vcpu.id = id;
      this.#byName.set(key, vcpu);
    }
    return vcpu;
  }

  /** The vcpu that the recorder knew a thread to run, of which virtual machine; before any event of it. */
  ofGuest(vm: number, id: number, pid: number): Vcpu {
    const thread = this.get(pid);
    const vcpu = this.ofThread(thread);
    vcpu.vm = vm;
    vcpu.id = id;
    return vcpu;
  }

  /**
   * The thread runs the vcpu that the event's pointer names. A vcpu that was known by thread only and one known by
   * pointer only turn out to be one; a pointer reused for a new vcpu is a new vcpu.
   */
  bind(thread: Thread, event: TimerEvent): Vcpu {
    const { vcpuPointerHi: hi, vcpuPointerLo: lo } = event;
    const seen = this.#byPointer.get(hi, lo);
    const own = thread.vcpu;
    if (own !== undefined && own !== seen && !own.hasPointer) {
      if (seen === undefined) return this.#show(own, hi, lo);
      const another = this.#isAnother(seen, event);
      const idle = seen.pid === -1 || seen.cpu < 0 || seen.entrant < 0;
      if (idle || another) {
        // Known by its thread before its pointer was seen there: the thread's identity stays, and whoever loaded it before
        // (up to 4.16 any thread of the VMM, for an ioctl) runs it no longer.
        if (another) this.#abandon(seen);
        else if (own.id < 0) own.id = seen.id;
        this.#leave(seen);
        seen.pid = -1;
        return this.#show(own, hi, lo);
      }
    }
    const vcpu = this.ofPointer(event);
    if (vcpu.pid !== thread.pid) {
      // Up to 4.16 any thread of the VMM loads a vcpu for an ioctl; the one before runs it no longer.
      this.#leave(vcpu);
      vcpu.pid = thread.pid;
    }
    thread.vcpu = vcpu;
    return vcpu;
  }

  /** The thread is in KVM_RUN with the vcpu that it is known to run: it may be the first to show that this is a new one. */
  run(thread: Thread, vcpu: Vcpu, event: TimerEvent): Vcpu {
    const running = this.#isAnother(vcpu, event) ? this.#succeed(vcpu, event) : vcpu;
    running.pid = thread.pid;
    thread.vcpu = running;
    running.runner = event.pid;
    if (!running.runners.includes(event.pid)) running.runners.push(event.pid);
    return running;
  }

  /** A vcpu shows its pointer. */
  #show(vcpu: Vcpu, hi: number, lo: number): Vcpu {
    vcpu.hasPointer = true;
    vcpu.pointerHi = hi;
    vcpu.pointerLo = lo;
    if (vcpu.pid >= 0) vcpu.users.push(vcpu.pid);
    this.#byPointer.set(hi, lo, vcpu);
    return vcpu;
  }

  /** The thread that ran a vcpu runs it no longer. */
  #leave(vcpu: Vcpu): void {
    const before = this.find(vcpu.pid);
    if (before?.vcpu === vcpu) before.vcpu = undefined;
  }

  /**
   * Whether a pointer names another vcpu than it did. The address of a VM that has gone is soon given to the next one: its
   * vcpus run in threads of their own, which the one before has never seen. A VMM may as well run a vcpu in another thread
   * than so far (specification §3.5), which no record tells from that.
   */
  #isAnother(known: Vcpu, event: TimerEvent): boolean {
    if (contradicts(known, event)) return true;
    const runs = runKinds[event.kind] === 1 || (loadKinds[event.kind] === 1 && !this.ioctlsLoad);
    if (!runs || !known.hasPointer || known.runner < 0 || known.runner === event.pid) return false;
    for (let vcpu: Vcpu | undefined = known; vcpu !== undefined; vcpu = vcpu.former)
      if (vcpu.runners.includes(event.pid)) return false;
    return true;
  }

  /** The pointer of a vcpu names a new one, or one that may as well be new: nothing that is known of it holds for that. */
  #succeed(gone: Vcpu, event: TimerEvent): Vcpu {
    this.#abandon(gone);
    const vcpu = this.#show(this.#add(event.pid), gone.pointerHi, gone.pointerLo);
    if (!contradicts(gone, event)) vcpu.former = gone;
    return vcpu;
  }

  /** A vcpu is not what its pointer, and its threads, stand for any more. */
  #abandon(gone: Vcpu): void {
    gone.isGone = true;
    this.doubted = gone;
    for (const pid of gone.users) {
      const thread = this.find(pid);
      if (thread?.vcpu === gone) thread.vcpu = undefined;
    }
  }

  #add(pid: number): Vcpu {
    const vcpu = new Vcpu(this.vcpus.length, pid);
    this.vcpus.push(vcpu);
    return vcpu;
  }
}

/**
 * Whether a thread uses a vcpu that has run for the first time: one of the VMM asks for its registers, or one of another
 * VMM sets up its own vcpu at the same address.
 */
function isStranger(known: Vcpu, event: TimerEvent): boolean {
  if (known.runner < 0 || known.runner === event.pid) return false;
  for (let vcpu: Vcpu | undefined = known; vcpu !== undefined; vcpu = vcpu.former)
    if (vcpu.users.includes(event.pid)) return false;
  return true;
}

/** Whether an event cannot be of the vcpu that its pointer named so far. */
function contradicts(known: Vcpu, event: TimerEvent): boolean {
  // A vcpu keeps its id, no other process than the one that made its VM may use it (kvm_vcpu_ioctl), and
  // kvm_timer_enable belongs to its first KVM_RUN.
  if (event.vcpuId >= 0 && known.id >= 0 && event.vcpuId !== known.id) return true;
  if (event.tgid > 0 && known.tgid > 0 && event.tgid !== known.tgid) return true;
  return event.kind === Kind.enable && known.runner >= 0;
}
