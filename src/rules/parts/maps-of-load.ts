import { Certainty, Context, isVirtual, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import type { VcpuState } from '../../machine/state.js';
import type { RuleContext } from '../context.js';
import { Slots, vcpuName } from '../support.js';

/**
 * Part of state-access-on-load-cpu: whose timer a load restores and a put saves. timer_save_state and
 * timer_restore_state print no vcpu, but kvm_timer_vcpu_load, kvm_timer_vcpu_put and the interrupt handler begin with
 * the timer map of theirs (get_timer_map, from 5.1 on; specification §3.5). All three speak of one vcpu: a thread may run
 * several in turn, but each from its load to its put. What a thread prints that neither saves nor restores says nothing:
 * a VMM's sets up vcpus that others run.
 */
export function mapsOfLoad(context: RuleContext) {
  const { machine } = context;
  /** The last timer map outside interrupts, by CPU. */
  const last = new Slots();
  /** The map with which the registers that a CPU holds were restored, by CPU. */
  const loaded = new Slots();
  /** A map in an interrupt since then that is another vcpu's, by CPU. */
  const inIrq = new Slots();

  /** The map that the thread of a save or restore has printed for it. A native row names its vcpu itself. */
  function mapOf(event: TimerEvent): TimerEvent | undefined {
    const map = last.get(event.cpu);
    return map !== undefined && event.pid > 0 && map.pid === event.pid && event.vm < 0 ? map : undefined;
  }

  function judge(event: TimerEvent, before: TimerEvent, after: TimerEvent): void {
    if (before.vcpuId !== after.vcpuId) {
      return context.violate(event, {
        message: 'other-vcpu',
        data: { before: before.vcpuId, after: after.vcpuId, cpu: event.cpu },
        witness: [before, after],
        ofCpu: true,
      });
    }
    const irq = inIrq.get(event.cpu);
    const vcpu = event.vcpu < 0 ? undefined : machine.vcpu(event.vcpu);
    if (vcpu === undefined || vcpu.id < 0 || vcpu.id === after.vcpuId) return;
    // Without another word for it the thread may run another of its vcpus.
    if (irq?.vcpuId !== vcpu.id && !isNamed(vcpu, event)) return;
    context.violate(event, {
      message: 'foreign-load',
      data: { vcpu: vcpuName(machine, event.vcpu), other: after.vcpuId, cpu: event.cpu },
      witness: [before, ...(irq === undefined ? [vcpu.last[Kind.load]] : [irq]), after],
      ofCpu: true,
    });
  }

  return {
    timer_map(event: TimerEvent): void {
      if (event.vcpuId < 0) return;
      if (event.context !== Context.hardirq && event.context !== Context.softirq) return last.set(event.cpu, event);
      const before = loaded.get(event.cpu);
      if (before !== undefined && before.pid === event.pid && before.vcpuId !== event.vcpuId)
        inIrq.set(event.cpu, event);
    },
    restore(event: TimerEvent): void {
      if (!isVirtual(event.timer)) return;
      inIrq.clear(event.cpu);
      const map = mapOf(event);
      if (map === undefined) loaded.clear(event.cpu);
      else loaded.set(event.cpu, map);
    },
    save(event: TimerEvent): void {
      if (!isVirtual(event.timer)) return;
      const before = loaded.take(event.cpu);
      const after = mapOf(event);
      if (before !== undefined && before.pid === event.pid && after !== undefined) judge(event, before, after);
      inIrq.clear(event.cpu);
    },
    lost(event: TimerEvent): void {
      last.clear(event.cpu);
      loaded.clear(event.cpu);
      inIrq.clear(event.cpu);
    },
  };
}

/** Whether a probe of the load has named the vcpu. */
function isNamed(vcpu: VcpuState, event: TimerEvent): boolean {
  const load = vcpu.last[Kind.load];
  return (
    load.certainty === Certainty.recorded && load.vcpuId === vcpu.id && load.hasVcpuPointer && load.pid === event.pid
  );
}
