import type { TimerEvent } from '../events/event.js';
import { Timer } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import {
  type Known,
  no,
  nowhere,
  somewhere,
  type TimerContext,
  unknown,
  type VcpuState,
  yes,
} from '../machine/state.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, timerText, vcpuName } from './support.js';

/** A context whose registers the guest uses directly and of which `loaded` has this value; `Timer.none` without one. */
function directContext(vcpu: VcpuState, loaded: Known): number {
  const virtual = vcpu.directVtimer >= 0 ? vcpu.directVtimer : Timer.vtimer;
  if (vcpu.contexts[virtual]?.loaded === loaded) return virtual;
  const physical = vcpu.directPtimer;
  return physical >= 0 && vcpu.contexts[physical]?.loaded === loaded ? physical : Timer.none;
}

export default defineRule({
  id: 'entry-only-when-loaded',
  statement:
    'A vcpu is entered only on the CPU on which it is loaded, with its direct timers restored there (since 4.15; up to 4.14 the entry restores).',
  why: "Otherwise the guest runs with a stopped timer, or with another vcpu's.",
  models: everyModel('error'),
  needs: ['entry', 'load', 'put'],
  source: 'kvm_arch_vcpu_ioctl_run between vcpu_load and vcpu_put; specification §4.1',
  messages: {
    'not-loaded': {
      headline: '{vcpu} enters the guest on CPU {cpu} without being loaded',
      given: '{vcpu} had been put',
      must: 'it is loaded again before it is entered',
      but: 'it was entered on CPU {cpu}',
      therefore: 'the guest runs with timer registers that nobody restored',
    },
    'not-restored': {
      headline: '{vcpu} enters the guest on CPU {cpu} although its {timer} has not been restored',
      given: 'the {timer} of {vcpu} was last saved',
      must: 'it is restored before the guest is entered',
      but: '{vcpu} was entered on CPU {cpu}',
      therefore: 'the guest runs with a stopped {timer}',
    },
  },
  examples: {
    legal: [
      {
        title: 'the hypervisor saves and restores around every entry',
        model: 'world-switch',
        trace: 'event,vcpu,cpu\nload,0,0\nentry,0,0\nexit,0,0\nschedule,0,0\nunschedule,0,0\nentry,0,0\nexit,0,0\n',
      },
      {
        title: 'blocked and restored again before the entry',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nschedule,0,0\nunschedule,0,0\nentry,0,0\n',
      },
      {
        title: 'put while blocked, loaded by the scheduler, then entered',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nschedule,0,0\nput,0,0\nload,0,0\nunschedule,0,0\nentry,0,0\n',
      },
    ],
    violating: [
      {
        title: 'entered after the put',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nput,0,0\nentry,0,0\n',
        message: 'not-loaded',
        line: 4,
      },
      {
        title: 'entered after the save of schedule, without unschedule',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nschedule,0,0\nentry,0,0\n',
        message: 'not-restored',
        line: 4,
      },
    ],
  },
  create(context) {
    const { machine } = context;

    function violate(event: TimerEvent, vcpu: VcpuState, message: string, timer: number): void {
      context.violate(event, {
        message,
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, timer: timerText(timer) },
        witness: [
          vcpu.last[Kind.put],
          (vcpu.contexts[timer] as TimerContext).save,
          vcpu.last[Kind.schedule],
          vcpu.last[Kind.load],
        ],
        distrustOwnership: true,
      });
    }

    return {
      before: {
        entry(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          if (vcpu.cpu === nowhere) return violate(event, vcpu, 'not-loaded', Timer.vtimer);
          // Up to 5.0 the end of a wait restores what kvm_timer_schedule has saved: one of the two has to be recorded.
          const showsRestores = context.records(Kind.restore) || context.records(Kind.unschedule);
          // Up to 4.14 the entry itself restores.
          const restores =
            context.model.id !== 'world-switch' && (context.records(Kind.restore) || !context.model.recordsSaveRestore);
          const stopped = restores ? directContext(vcpu, no) : Timer.none;
          if (stopped !== Timer.none && !showsRestores) return context.undecided(event, because.endOfWait);
          if (stopped !== Timer.none) return violate(event, vcpu, 'not-restored', stopped);
          if (vcpu.cpu === somewhere) return context.undecided(event, because.initial);
          // On another CPU: one-cpu-per-vcpu judges that.
          if (vcpu.cpu !== event.cpu) return;
          if (restores && directContext(vcpu, unknown) !== Timer.none) return context.undecided(event, because.initial);
          if (vcpu.cpuApproximate) return context.undecided(event, because.approximate);
          if (vcpu.vtimer.loaded === yes || !restores) context.hold(event);
        },
      },
    };
  },
});
