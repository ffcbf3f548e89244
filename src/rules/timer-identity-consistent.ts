import { Context, isVirtual, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, noEvent, yes } from '../machine/state.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import { everyModel, Slots, timerText, vcpuName } from './support.js';

/** The maps that get_timer_map can give, as dv, dp, ev, ep; up to 6.3 ev is not printed. */
const legalMaps: readonly (readonly [number, number, number, number])[] = [
  [1, 0, -1, -1],
  [1, -1, -1, 0],
  [1, 0, 2, 3],
  [2, 3, 1, 0],
];

function isLegal(event: TimerEvent): boolean {
  return legalMaps.some(
    ([dv, dp, ev, ep]) =>
      event.directVtimer === dv &&
      event.directPtimer === dp &&
      event.emulPtimer === ep &&
      (event.emulVtimer === ev || (event.emulVtimer === Timer.unknown && ev === -1)),
  );
}

function isSameMap(event: TimerEvent, first: TimerEvent): boolean {
  return (
    first.serial > 0 &&
    event.directVtimer === first.directVtimer &&
    event.directPtimer === first.directPtimer &&
    event.emulVtimer === first.emulVtimer &&
    event.emulPtimer === first.emulPtimer
  );
}

function mapText(event: TimerEvent): string {
  const ev = event.emulVtimer === Timer.unknown ? '' : `, ev ${event.emulVtimer}`;
  return `dv ${event.directVtimer}, dp ${event.directPtimer}${ev}, ep ${event.emulPtimer}`;
}

export default defineRule({
  id: 'timer-identity-consistent',
  statement:
    'Timer maps are among those of the host type and do not change class; a timer keeps its interrupt numbers, guest and Linux, throughout a VM and a host.',
  why: 'A timer that changes its identity raises the interrupt of another.',
  models: everyModel('warning'),
  needs: [['timer_map', 'update_irq', 'vtimer_irq']],
  source: 'get_timer_map, timer_irqs_are_valid; specification §4.7',
  messages: {
    'illegal-map': {
      headline: 'the timer map {map} does not exist',
      given: 'kvm_get_timer_map printed {map}',
      must: 'it is one of the maps of VHE, non-VHE or nested virtualisation',
      but: 'it is none of them',
      therefore: 'contexts are taken for direct or emulated ones that are not',
    },
    'map-changed': {
      headline: 'the timer map changes from {before} to {map} on one host',
      given: 'kvm_get_timer_map printed {before}',
      must: 'VHE and non-VHE maps do not occur on one host',
      but: 'it printed {map}',
      therefore: 'the physical timer is direct at one time and emulated at another',
    },
    'guest-irq-changed': {
      headline: 'the {timer} reports interrupt {irq}, but reported {before} earlier',
      given: 'the {timer} of the same VM reported interrupt {before}',
      must: 'all vcpus of a VM use the same interrupt for it, throughout',
      but: 'it reported interrupt {irq}',
      therefore: 'one of the two raises an interrupt that is not its own',
    },
    'same-guest-irq': {
      headline: 'a load of {vcpu} reports interrupt {irq} for both of its timers',
      given: 'both timers of {vcpu} are direct, and its load reports the level of one after that of the other',
      must: 'each is reported under an interrupt of its own (timer_irqs_are_valid)',
      but: 'interrupt {irq} was reported twice before a timer was restored',
      therefore: 'one of the two raises and lowers the interrupt of the other',
    },
    'host-irq-changed': {
      headline: 'the {timer} interrupt of the host is irq {irq}, but was irq {before} earlier',
      given: 'the interrupt of that name was irq {before}',
      must: 'the Linux irq of a per-CPU interrupt is the same on all CPUs, throughout',
      but: 'it was handled as irq {irq}',
      therefore: 'two interrupts are taken for one',
    },
  },
  examples: {
    legal: [
      {
        title: 'one map, one interrupt',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,dv,dp,ep,irq,level\ntimer_map,0,0,1,0,-1\nvtimer_irq,,0,,,,12\nupdate_irq,0,0,,,,27,1\ntimer_map,1,0,1,0,-1\n',
      },
      {
        title: 'a load reports both timers, after a reset has done so',
        model: 'timer-map',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,timer,irq,level,dv,dp,ep\ntimer_map,0,0,,,,1,0,none\nupdate_irq,0,0,,27,0\nupdate_irq,0,0,,30,0\ntimer_map,0,0,,,,1,0,none\nupdate_irq,0,0,,27,0\nupdate_irq,0,0,,30,0\nrestore,0,0,vtimer\nrestore,0,0,ptimer\nentry,0,0\n',
      },
    ],
    violating: [
      {
        title: 'a load reports the physical timer under the interrupt of the virtual one',
        model: 'timer-map',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,timer,irq,level,dv,dp,ep\ntimer_map,0,0,,,,1,0,none\nupdate_irq,0,0,,27,1\nupdate_irq,0,0,,27,0\nrestore,0,0,vtimer\nrestore,0,0,ptimer\nentry,0,0\n',
        message: 'same-guest-irq',
        line: 4,
      },
      {
        title: 'VHE and non-VHE on one host',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,dv,dp,ep\ntimer_map,0,0,1,0,-1\ntimer_map,0,0,1,-1,0\n',
        message: 'map-changed',
        line: 3,
      },
      {
        title: 'two interrupts for the virtual timer of one VM',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,irq,level,timer\nupdate_irq,0,0,27,0,vtimer\nupdate_irq,1,1,19,0,vtimer\n',
        message: 'guest-irq-changed',
        line: 3,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    let firstMap = noEvent;
    /** Guest interrupt by VM (or vcpu where the VM is not recorded) and timer. */
    const guestIrqs: (TimerEvent | undefined)[] = [];
    const hostIrqs: (TimerEvent | undefined)[] = [];

    /** By vcpu: the first report since the last timer map of its thread, and one of the same interrupt after it. */
    const reports = new Slots();
    const repeated = new Slots();

    /** kvm_timer_vcpu_load_gic, once for each direct timer between the load's timer map and its restores. */
    function reported(event: TimerEvent): void {
      if (event.context === Context.hardirq) return;
      const vcpu = machine.vcpu(event.vcpu);
      if (vcpu.directPtimer < 0 || vcpu.isNested || vcpu.vtimer.loaded === yes) return;
      const first = reports.get(event.vcpu);
      if (first === undefined) reports.set(event.vcpu, event);
      else if (first.irq === event.irq) repeated.set(event.vcpu, event);
    }

    /** What was reported before a timer map, by a reset or an ioctl, is no part of the load. */
    function begins({ vcpu, context: where }: TimerEvent): void {
      if (vcpu < 0 || where === Context.hardirq) return;
      reports.clear(vcpu);
      repeated.clear(vcpu);
    }

    function restored(event: TimerEvent): void {
      if (event.vcpu < 0) return;
      const first = reports.take(event.vcpu);
      const again = repeated.take(event.vcpu);
      if (first === undefined || again === undefined || !context.records(Kind.timer_map)) return;
      context.violate(event, {
        message: 'same-guest-irq',
        data: { vcpu: vcpuName(machine, event.vcpu), irq: again.irq },
        witness: [first, event],
        at: again,
      });
    }

    return {
      before: {
        restore: when(reports.occasion, restored),
        timer_map(event) {
          if (!reports.isEmpty) begins(event);
          // Nearly every map is the one before.
          if (isSameMap(event, firstMap)) return context.hold(event);
          if (!isLegal(event))
            return context.violate(event, { message: 'illegal-map', data: { map: mapText(event) }, witness: [] });
          if (firstMap.serial === 0) firstMap = event.retain();
          if (firstMap.directPtimer >= 0 === event.directPtimer >= 0) return context.hold(event);
          context.violate(event, {
            message: 'map-changed',
            data: { before: mapText(firstMap), map: mapText(event) },
            witness: [firstMap],
          });
        },
        vtimer_irq(event) {
          if (event.irq < 0 || event.timer < 0) return;
          // The host has two: a hypervisor in the guest has its own timers in the registers of the same two.
          const line = isVirtual(event.timer) ? Timer.vtimer : Timer.ptimer;
          const first = hostIrqs[line];
          if (first === undefined) {
            hostIrqs[line] = event.retain();
            return;
          }
          if (first.irq === event.irq) return context.hold(event);
          context.violate(event, {
            message: 'host-irq-changed',
            data: { timer: timerText(line), irq: event.irq, before: first.irq },
            witness: [first],
          });
        },
        update_irq(event) {
          if (event.vcpu < 0) return;
          reported(event);
          // Inside its handler the timer is known by the name of the interrupt, not by the number it reports.
          const cpu = machine.cpu(event.cpu);
          const inHandler = cpu.inTimerIrq === yes && context.records(Kind.vtimer_irq_end);
          const timer = inHandler ? cpu.last[Kind.vtimer_irq].timer : event.timer;
          if (timer < 0) return;
          // Without thread groups only the vcpu itself is known to belong to one VM: odd keys are vcpus.
          const key = (event.vm >= 0 ? event.vm * 2 : event.vcpu * 2 + 1) * contextCount + timer;
          const first = guestIrqs[key];
          if (first === undefined) {
            guestIrqs[key] = event.retain();
            return;
          }
          if (first.irq === event.irq) return context.hold(event);
          context.violate(event, {
            message: 'guest-irq-changed',
            data: { timer: timerText(timer), irq: event.irq, before: first.irq },
            witness: [first],
          });
        },
        lost() {
          reports.each((_, vcpu) => reports.clear(vcpu));
          repeated.each((_, vcpu) => repeated.clear(vcpu));
        },
      },
    };
  },
});
