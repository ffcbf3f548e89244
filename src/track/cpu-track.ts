import { emptyList } from '../events/list.js';
import { nobody, type Thread, type Vcpu } from './threads.js';

/** What a CPU is doing, from the brackets that records make. */
export class CpuTrack {
  readonly index: number;
  /** Depth of interrupt handlers known to be running. */
  irqDepth = 0;
  /** The guest timer whose PPI is being handled, -1 none. */
  timerIrq = -1;
  /** The Linux irq with which irq_handler_entry has shown it, -1 where only a probe has. */
  irqEntered = -1;
  /** The vcpu loaded here, or none; `known` tells none from not known. */
  running: Vcpu | undefined;
  known = false;
  /** A put of this vcpu is under way. */
  putting: Vcpu | undefined;
  /** Vcpu and timer of the hrtimer callback that runs here. */
  callback: Vcpu | undefined;
  callbackOpen = false;
  /** Vcpu and interrupt of the last update_irq, for the vgic record that follows. */
  updated: Vcpu | undefined;
  updatedIrq = -1;
  started = false;
  /** The thread of the last event here, so that a run of events looks it up once. */
  thread: Thread = nobody;

  constructor(index: number) {
    this.index = index;
  }
}

/** The CPUs by their numbers. */
export class CpuTracks {
  readonly all: CpuTrack[] = emptyList();

  /** The CPU of a number, made when it is first asked for. */
  at(index: number): CpuTrack {
    return this.all[index] ?? this.#add(index);
  }

  #add(index: number): CpuTrack {
    for (let i = this.all.length; i <= index; i++) this.all.push(new CpuTrack(i));
    return this.all[index] as CpuTrack;
  }
}
