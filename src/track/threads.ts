import { Timer } from '../events/event.js';
import { emptyList } from '../events/list.js';
import { U64Map } from '../events/u64.js';

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

  /** The vcpu of a `struct kvm_vcpu` pointer; made when it is the first time. */
  ofPointer(hi: number, lo: number): Vcpu {
    let vcpu = this.#byPointer.get(hi, lo);
    if (vcpu === undefined) {
      vcpu = this.#add(-1);
      vcpu.hasPointer = true;
      this.#byPointer.set(hi, lo, vcpu);
    }
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
   * The thread runs the vcpu that this pointer names. A vcpu that was known by thread only and one known by
   * pointer only turn out to be one; a pointer reused for a new vcpu in another thread is a new vcpu.
   */
  bind(thread: Thread, hi: number, lo: number): Vcpu {
    const known = this.#byPointer.get(hi, lo);
    if (known !== undefined) {
      const idle = known.pid === -1 || known.cpu < 0 || known.entrant < 0;
      if (thread.vcpu !== known && idle && thread.vcpu !== undefined && !thread.vcpu.hasPointer) {
        // Known by its thread before its pointer was seen there: the thread's identity stays, and whoever loaded it before
        // (up to 4.16 any thread of the VMM, for an ioctl) runs it no longer.
        const kept = thread.vcpu;
        const before = this.find(known.pid);
        if (before?.vcpu === known) before.vcpu = undefined;
        known.pid = -1;
        kept.hasPointer = true;
        if (kept.id < 0) kept.id = known.id;
        this.#byPointer.set(hi, lo, kept);
        return kept;
      }
      if (known.pid !== thread.pid) {
        // Up to 4.16 any thread of the VMM loads a vcpu for an ioctl; the one before runs it no longer.
        const before = this.find(known.pid);
        if (before?.vcpu === known) before.vcpu = undefined;
        known.pid = thread.pid;
      }
      thread.vcpu = known;
      return known;
    }
    const own = thread.vcpu;
    if (own !== undefined && !own.hasPointer) {
      own.hasPointer = true;
      this.#byPointer.set(hi, lo, own);
      return own;
    }
    const vcpu = this.ofPointer(hi, lo);
    vcpu.pid = thread.pid;
    thread.vcpu = vcpu;
    return vcpu;
  }

  #add(pid: number): Vcpu {
    const vcpu = new Vcpu(this.vcpus.length, pid);
    this.vcpus.push(vcpu);
    return vcpu;
  }
}
