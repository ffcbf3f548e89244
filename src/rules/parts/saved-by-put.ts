import { Certainty, Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { type TimerContext, yes } from '../../machine/state.js';
import { because, type RuleContext } from '../context.js';
import { Slots, timerText, vcpuName } from '../support.js';

/** Puts with a recorded save, after which a put without one tells something: this call of the save is not inlined. */
const confirming = 20;
/** Calls in a trace that a probe may have missed. */
const missed = 2;
const notAll = 'not every call of the save may be recorded';

/** What the rule calls, before the model has applied the event. */
export interface SavedByPut {
  timerPut(event: TimerEvent): void;
  saved(event: TimerEvent): void;
  timerLoad(event: TimerEvent): void;
  lost(): void;
}

/**
 * Up to 5.0 the put implies the save of the virtual timer (vtimer_save_state in kvm_timer_vcpu_put). The next
 * kvm_timer_vcpu_load, where it is probed, shows whether there was one: the save clears `loaded`. A kernel that clears it
 * and saves nothing leaves the memory copy as it was, and no record of the save where the saves of puts have one.
 */
export function savedByPut(context: RuleContext): SavedByPut {
  const { machine } = context;
  /** kvm_timer_sync_hwstate of 4.15 reads the registers of a high level into memory. */
  const refreshes = context.candidates.includes('load-put-4.15');
  /** By vcpu: a kvm_timer_vcpu_put that came to a loaded timer, of which no save is recorded so far. */
  const unsaved = new Slots();
  /** By vcpu: the restore before that put, which shows the memory copy of the loaded timer. */
  const restores = new Slots();
  /** Such puts with a save; those without one whose memory copy has stayed. */
  let saves = 0;
  let misses = 0;
  /** A save has left no record: the memory copy has changed all the same. */
  let isPartial = false;

  function violate(event: TimerEvent, put: TimerEvent, witness: readonly TimerEvent[]): void {
    context.violate(event, {
      message: 'put-without-save',
      data: { timer: timerText(Timer.vtimer), vcpu: vcpuName(machine, event.vcpu), cpu: put.cpu },
      witness,
      at: put,
      distrustRegisters: Timer.vtimer,
    });
  }

  /** The flag is down, and no save was recorded. */
  function unrecorded(event: TimerEvent, timerPut: TimerEvent, put: TimerEvent): void {
    const restore = restores.take(event.vcpu);
    if (restore === undefined || !event.hasCval) return context.undecided(put, because.noRegisters);
    const stays = event.ctl === restore.ctl && event.cvalHi === restore.cvalHi && event.cvalLo === restore.cvalLo;
    if (stays) misses++;
    else if (!refreshes) isPartial = true;
    if (!stays || isPartial || saves < confirming || misses <= missed) return context.undecided(put, notAll);
    violate(event, put, [restore, timerPut, event]);
  }

  return {
    timerPut(event) {
      const { enabled, contexts } = machine.vcpu(event.vcpu);
      if (event.loaded !== 1 || enabled !== yes) return unsaved.clear(event.vcpu);
      unsaved.set(event.vcpu, event);
      const { restore } = contexts[Timer.vtimer] as TimerContext;
      if (restore.hasCval) restores.set(event.vcpu, restore);
      else restores.clear(event.vcpu);
    },
    saved(event) {
      if (unsaved.take(event.vcpu) !== undefined) saves++;
    },
    timerLoad(event) {
      const timerPut = unsaved.take(event.vcpu);
      const { last, unseen } = machine.vcpu(event.vcpu);
      const put = last[Kind.put];
      if (event.loaded < 0 || put.serial === 0) return;
      // Entered since: the put that counts was not recorded.
      if (put.certainty >= Certainty.approximate || last[Kind.entry].serial > put.serial)
        return context.undecided(event, because.approximate);
      if (unseen) return context.undecided(put, because.blind);
      if (event.loaded === 1) return violate(event, put, [event]);
      if (timerPut === undefined || timerPut.serial < put.serial) context.hold(put);
      else unrecorded(event, timerPut, put);
    },
    lost() {
      unsaved.each((_, vcpu) => unsaved.clear(vcpu));
    },
  };
}
