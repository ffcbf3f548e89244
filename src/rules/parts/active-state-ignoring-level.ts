import { Certainty, Context, Ctl, canFire, Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { no, type TimerContext, yes } from '../../machine/state.js';
import type { ModelId } from '../../models/model.js';
import { because, type RuleContext, type RuleHandlers } from '../context.js';
import { timerText, vcpuName } from '../support.js';

/** The models whose load writes the vgic's active state and does not look at the level: bug 22. */
export const ignoringLevel: readonly ModelId[] = ['load-put-4.16', 'load-put-5.0'];

/** What one load of a vcpu has shown, of its virtual timer. */
class Load {
  /** Loaded, and neither entered nor put since. */
  open = false;
  /** The timer had expired before. */
  pending = false;
  written = false;
  interrupted = false;
  /** Level that the load has reported, where bae561c0cff7 is backported; -1 none. */
  level = -1;
}

/** 4.16 to 5.0: the active state must be written; that it is wrong for a pending timer is known. */
export function activeStateIgnoringLevel(context: RuleContext): RuleHandlers {
  const { machine } = context;
  const loads: Load[] = [];
  const ofVcpu = (vcpu: number): Load => {
    loads[vcpu] ??= new Load();
    return loads[vcpu] as Load;
  };

  function end(event: TimerEvent): void {
    const load = event.vcpu < 0 ? undefined : loads[event.vcpu];
    if (load === undefined || !load.open) return;
    load.open = false;
    if (load.pending && !load.interrupted && context.records(Kind.vtimer_irq)) context.hold(event);
  }

  return {
    before: {
      load(event) {
        if (event.vcpu < 0) return;
        const { last, enabled, bgArmed } = machine.vcpu(event.vcpu);
        const load = ofVcpu(event.vcpu);
        load.open = enabled === yes;
        // The callback starts the timer again unless a deadline has passed.
        load.pending =
          bgArmed === no && last[Kind.bg_expire].serial > Math.max(last[Kind.bg_arm].serial, last[Kind.entry].serial);
        // A derived load stands where its first effect is recorded, which may be the restore after the write.
        if (event.certainty === Certainty.recorded) load.written = false;
        load.interrupted = false;
        load.level = -1;
      },
      update_irq(event) {
        const load = event.vcpu < 0 || event.timer !== Timer.vtimer ? undefined : loads[event.vcpu];
        const inHandler = machine.cpu(event.cpu).inTimerIrq === yes || event.context === Context.hardirq;
        if (load?.open === true && !load.written && !inHandler) load.level = event.level;
      },
      set_active(event) {
        // Whoever writes it: where the end of a handler is not recorded, a thread's write looks like an interrupt's.
        if (event.timer === Timer.ptimer) return;
        const { running } = machine.cpu(event.cpu);
        const load = running < 0 ? undefined : loads[running];
        if (load?.open === true && load.level === 1 && !load.written && event.level === 0 && event.vcpu === running)
          context.violate(event, {
            message: 'inactive',
            data: { timer: timerText(Timer.vtimer), vcpu: vcpuName(machine, running), cpu: event.cpu },
            witness: [
              machine.vcpu(running).last[Kind.load],
              (machine.vcpu(running).contexts[Timer.vtimer] as TimerContext).update,
            ],
          });
        if (running >= 0) ofVcpu(running).written = true;
        if (event.vcpu >= 0) ofVcpu(event.vcpu).written = true;
      },
      restore(event) {
        if (event.vcpu < 0 || event.timer !== Timer.vtimer || event.ctl < 0) return;
        // The save before has found it expired, and nobody has cleared ISTATUS in the memory copy since.
        if (canFire(event.ctl) && (event.ctl & Ctl.istatus) !== 0) ofVcpu(event.vcpu).pending = true;
      },
      vtimer_irq(event) {
        const vcpu = machine.cpu(event.cpu).running;
        const load = vcpu < 0 ? undefined : loads[vcpu];
        if (load === undefined || !load.open || load.interrupted || event.timer !== Timer.vtimer) return;
        load.interrupted = true;
        if (!load.pending || !context.candidates.every((id) => ignoringLevel.includes(id))) return;
        const { last, contexts } = machine.vcpu(vcpu);
        context.violate(event, {
          message: 'known-pending-inactive',
          data: { timer: timerText(event.timer), vcpu: vcpuName(machine, vcpu), cpu: event.cpu },
          witness: [last[Kind.load], (contexts[Timer.vtimer] as TimerContext).restore],
          severity: 'info',
        });
      },
      entry(event) {
        const load = event.vcpu < 0 ? undefined : loads[event.vcpu];
        // Hosts without a usable active state mask the interrupt instead.
        if (load?.open === true && context.records(Kind.set_active) && !context.records(Kind.mask_irq)) {
          const { last } = machine.vcpu(event.vcpu);
          if (load.written) context.hold(event);
          // Which thread has written it is not certain before the load.
          else if (last[Kind.load].certainty !== Certainty.recorded) context.undecided(event, because.unattributed);
          else
            context.violate(event, {
              message: 'unwritten',
              data: { timer: timerText(Timer.vtimer), vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
              witness: [last[Kind.load]],
            });
        }
        end(event);
      },
      put(event) {
        end(event);
        const load = event.vcpu < 0 ? undefined : loads[event.vcpu];
        if (load !== undefined) load.written = false;
      },
      lost() {
        for (const load of loads) if (load !== undefined) load.open = false;
      },
    },
  };
}
