import { canFire } from '../../events/event.js';

/** What happens to a vcpu from outside the timer code, whatever the kernel. */
export enum Act {
  load,
  put,
  entry,
  exit,
  /** A flush that no entry followed. */
  abort,
  block,
  unblock,
  /** KVM_SET_ONE_REG of CTL or CVAL. */
  write,
  /** KVM_SET_ONE_REG of the counter. */
  writeCounter,
  reset,
}

/** When a timer that the guest has programmed expires: one object for all who wait to know it. */
export class Deadline {
  /** Nanoseconds since the trace began; NaN while it is not known. */
  time = Number.NaN;
}

/** One act of the guest, the scheduler or userspace, with its time and CPU. Fields of other acts mean nothing. */
export class Stimulus {
  /** Index of the vcpu in the recording, and who it is. */
  vcpu = -1;
  vm = -1;
  id = -1;
  /** A later record decides what this one was: it must wait. */
  open = false;
  /** It has been handed on: nothing can be added. */
  given = false;

  /** `load` and `put`: by the scheduler; otherwise by an ioctl. */
  scheduled = false;
  /** `put`: the thread sleeps. */
  sleeping = false;
  /** `load`: of KVM_RUN; `false` another ioctl's. */
  runs = true;
  /** `exit`: why; -1 unknown. */
  code = -1;
  exceptionClass = -1;

  /** `exit`: what the guest wrote to CTL in this stay; `load`: what userspace wrote before it; `write`. -1 nothing. */
  ctl = -1;
  /** `write`: only CTL, or only CVAL, was written. */
  only: 'ctl' | 'cval' | undefined;
  deadline: Deadline | undefined;

  /** @param time nanoseconds since the trace began */
  constructor(
    readonly act: Act,
    readonly time: number,
    readonly cpu: number,
  ) {}

  /** What was written to the timer. @param deadline of a timer that can fire */
  program(ctl: number, deadline: Deadline | undefined): void {
    this.ctl = ctl;
    this.deadline = deadline;
    this.open = false;
  }

  /** All of it is known. */
  get settled(): boolean {
    if (this.open) return false;
    return this.ctl < 0 || !canFire(this.ctl) || !Number.isNaN(this.deadline?.time ?? 0);
  }
}

/** Takes stimuli in the order of the recording. */
export type Consumer = (stimulus: Stimulus) => void;
