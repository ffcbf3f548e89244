import { Context, canFire, Register, Timer, type TimerEvent } from '../../events/event.js';
import { differenceU64 } from '../../events/u64.js';
import { no, type TimerContext, unknown, yes } from '../../machine/state.js';
import { because, type Handler, type RuleContext } from '../context.js';
import { type HandlerWhen, when } from '../occasion.js';
import { Slots, timerText, vcpuName } from '../support.js';

/** Counts by which a deadline has to lie beside the count that was written: the counter goes on in the meantime. */
const margin = 1_000_000;

/** What the rule calls. */
export interface LevelAfterUserWrite {
  written(event: TimerEvent): void;
  readonly reported: HandlerWhen;
  /** The write is over. */
  readonly over: HandlerWhen;
  lost(): void;
}

/**
 * Up to 5.0 kvm_arm_timer_set_reg ends with kvm_timer_update_state: the level is that of the registers, and of the counter, as
 * they have just been written. From 4.16 on the virtual timer's is reported whatever it was.
 */
export function levelAfterUserWrite(context: RuleContext): LevelAfterUserWrite {
  const { machine, model } = context;
  const isRfc = model.id === 'rfc-load-put';
  const always = context.candidates.every((id) => id === 'load-put-4.16' || id === 'load-put-5.0');
  /** Writes under way, by vcpu; and whether a report has followed. */
  const writes = new Slots();
  const reports: boolean[] = [];

  function violate(event: TimerEvent, write: TimerEvent, message: string): void {
    context.violate(event, {
      message,
      data: { timer: timerText(Timer.vtimer), vcpu: vcpuName(machine, event.vcpu) },
      witness: [(machine.vcpu(event.vcpu).contexts[Timer.vtimer] as TimerContext).update, event],
      at: write,
    });
  }

  /** Whether the timer has expired by the count that was written; unknown where the two are close, or it is not known. */
  function expiredBy({ valueHi, valueLo }: TimerEvent, state: TimerContext): number {
    // The RFC reads a loaded timer back, whatever userspace has written (W4).
    const isHardware = isRfc && state.loaded === yes;
    if (isRfc && !(isHardware && state.enteredSinceRestore === no)) return unknown;
    if (!(isHardware ? state.restoredCvalKnown : state.cvalKnown)) return unknown;
    if (!canFire(isHardware ? state.restoredCtl : state.ctl)) return unknown;
    const hi = isHardware ? state.restoredCvalHi : state.cvalHi;
    const lo = isHardware ? state.restoredCvalLo : state.cvalLo;
    const ahead = differenceU64(hi, lo, valueHi, valueLo);
    return Math.abs(ahead) < margin ? unknown : ahead < 0 ? yes : no;
  }

  function judge(event: TimerEvent, write: TimerEvent): void {
    const vcpu = machine.vcpu(event.vcpu);
    const state = vcpu.contexts[Timer.vtimer] as TimerContext;
    if (vcpu.unseen) return context.undecided(write, because.blind);
    if (always && reports[event.vcpu] !== true) return violate(event, write, 'unreported');
    if (state.level === unknown || !write.hasValue) return;
    if (write.register === Register.ctl && !isRfc && !canFire(write.valueLo)) {
      if (state.level === yes) violate(event, write, 'level-stays');
      else context.hold(write);
    } else if (write.register === Register.cnt) {
      const expired = expiredBy(write, state);
      if (expired === unknown) return;
      if (state.level === expired) context.hold(write);
      else violate(event, write, 'count-ignored');
    }
  }

  const over: Handler = (event) => {
    const write = event.vcpu < 0 ? undefined : writes.take(event.vcpu);
    if (write !== undefined) judge(event, write);
  };

  return {
    written(event) {
      over(event);
      if (event.vcpu < 0 || event.timer !== Timer.vtimer) return;
      const { enabled, contexts } = machine.vcpu(event.vcpu);
      const { loaded } = contexts[Timer.vtimer] as TimerContext;
      // Before the first run nothing is reported; of a loaded timer the hardware decides, from 4.16 on.
      if (enabled !== yes || (always && loaded !== no)) return;
      reports[event.vcpu] = false;
      writes.set(event.vcpu, event);
    },
    reported: when(writes.occasion, (event) => {
      if (event.vcpu >= 0 && event.timer === Timer.vtimer && event.context !== Context.hardirq)
        reports[event.vcpu] = true;
    }),
    over: when(writes.occasion, over),
    lost() {
      writes.each((write, vcpu) => {
        writes.clear(vcpu);
        context.undecided(write, because.initial);
      });
    },
  };
}
