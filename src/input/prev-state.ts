/** What prev_state of sched_switch says, as recorded. */
export enum PrevState {
  runnable,
  interruptible,
  deeper,
  preempted,
}

/** prev_state bits that say "preempted, still runnable": TASK_REPORT_MAX since 4.14, TASK_STATE_MAX up to 4.13. */
const preempted = [0x100, 0x1000] as const;

/** The state that the kernel's bits say. */
export function prevState(bits: number): PrevState {
  if (bits === 0) return PrevState.runnable;
  if (bits === preempted[0] || bits === preempted[1]) return PrevState.preempted;
  return bits === 1 ? PrevState.interruptible : PrevState.deeper;
}

/**
 * Whether a switched thread goes to sleep as a vcpu's thread does that waits: interruptibly (kvm_vcpu_block). In an
 * uninterruptible sleep it waits for something else, on PREEMPT_RT for any spinlock, and no guest has asked for that. The kernels from 4.14 to 4.19 that lack 3f5fe9fef5b2
 * record every state one letter too far: a runnable thread is `S` there, a sleeping one `D`. The idle thread, which never
 * sleeps, gives them away; before its first switch nothing does. One instance per recording.
 */
export class PrevStates {
  #shifted = false;

  /** @returns 1 the thread goes to sleep, 0 it stays runnable, 2 it sleeps otherwise */
  sleeping(pid: number, state: PrevState): 0 | 1 | 2 {
    if (state === PrevState.deeper) return this.#shifted ? 1 : 2;
    if (state !== PrevState.interruptible) return 0;
    if (pid === 0) this.#shifted = true;
    return this.#shifted ? 0 : 1;
  }
}
