import { Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { type Known, type TimerContext, unknown, yes } from '../machine/state.js';
import { because } from './context.js';
import { Marks, when } from './occasion.js';
import { defineRule } from './rule.js';
import { everyModel, timerText, vcpuName } from './support.js';

const { 'rfc-load-put': _, ...models } = everyModel('error');

const columns = 'event,vcpu,cpu,timer,irq,level\n';
const loaded = 'load,0,0\nmask_irq,0,0,vtimer,,0\nentry,0,0\n';
const expires = 'vtimer_irq,,0\nupdate_irq,0,0,,27,1\nmask_irq,0,0,vtimer,,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\n';

export default defineRule({
  id: 'irq-masked-while-level-high',
  statement:
    "Where nobody can make the timer's physical interrupt active, for guests with the interrupt controller in userspace, it is masked at an entry if the level is high, and not if it is low; every load (up to 4.14 every flush) sees to that. With the controller in the kernel nobody masks it.",
  why: 'Unmasked it ends every stay in the guest before the guest can turn its timer off; masked for nothing it never comes again.',
  models,
  needs: ['mask_irq', 'update_irq', 'entry', ['load', 'flush']],
  source:
    'kvm_vtimer_update_mask_user, kvm_timer_vcpu_load_nogic, kvm_arch_timer_handler; specification §1.2, §2a, §2c, §4.5 (dist-active-at-load)',
  messages: {
    unmasked: {
      headline: '{vcpu} enters the guest on CPU {cpu} with its {timer} interrupt not masked although its level is high',
      given: 'the level of the {timer} of {vcpu} was high, and userspace has its interrupt controller',
      must: 'the physical interrupt is masked until the level is low again',
      but: '{vcpu} was entered with the interrupt enabled',
      therefore: 'the guest is interrupted out of its run at once, again and again',
    },
    'left-masked': {
      headline: '{vcpu} enters the guest on CPU {cpu} with its {timer} interrupt masked although its level is low',
      given: 'the level of the {timer} of {vcpu} was low, and userspace has its interrupt controller',
      must: 'the physical interrupt is enabled',
      but: '{vcpu} was entered with the interrupt masked',
      therefore: 'nobody learns of the next expiry while the vcpu stays in the guest',
    },
    unwritten: {
      headline: '{vcpu} enters the guest on CPU {cpu}, and nobody has masked or enabled its {timer} interrupt there',
      given: '{vcpu} was loaded on CPU {cpu}, up to 4.14 flushed, and userspace has its interrupt controller',
      must: 'the physical interrupt is masked or enabled by its level',
      but: '{vcpu} was entered without either',
      therefore: 'the state that another vcpu has left decides whether the interrupt comes',
    },
    'enabled-early': {
      headline: 'the {timer} interrupt of {vcpu} is enabled on CPU {cpu} while its level is high',
      given: 'the level of the {timer} of {vcpu} was high, and userspace has its interrupt controller',
      must: 'the level is lowered before the interrupt is enabled',
      but: 'the interrupt was enabled with the level still high',
      therefore: 'it is taken once more at every exit, for an expiry that is known',
    },
    'in-kernel': {
      headline:
        'the {timer} interrupt is masked or enabled on CPU {cpu} for {vcpu}, whose interrupt controller is in the kernel',
      given: 'the level of {vcpu} is injected into the vgic of the kernel',
      must: 'the active state holds back its physical interrupt',
      but: 'the interrupt was masked or enabled on the CPU',
      therefore: 'while it is masked no expiry is noticed there',
    },
  },
  examples: {
    legal: [
      {
        title: 'masked by the handler that raises the level, enabled by the sync that lowers it',
        model: 'load-put-4.15',
        trace: `${columns}${loaded}${expires}update_irq,0,0,,27,0\nmask_irq,0,0,vtimer,,0\nexit,0,0\nentry,0,0\n`,
      },
      {
        title: 'up to 4.14 every flush does one or the other',
        model: 'world-switch',
        trace: `${columns}load,0,0\nflush,0,0\nmask_irq,0,0,vtimer,,0\nentry,0,0\nexit,0,0\nsync,0,0\nupdate_irq,0,0,,27,1\nflush,0,0\nmask_irq,0,0,vtimer,,1\nentry,0,0\n`,
      },
    ],
    violating: [
      {
        title: 'the handler raises the level and does not mask the interrupt',
        model: 'load-put-4.16',
        trace: `${columns}${loaded}${expires.replace('mask_irq,0,0,vtimer,,1\n', '')}`,
        message: 'unmasked',
        line: 9,
      },
      {
        title: 'the sync lowers the level and does not enable the interrupt',
        model: 'load-put-4.15',
        trace: `${columns}${loaded}${expires}update_irq,0,0,,27,0\nexit,0,0\nentry,0,0\n`,
        message: 'left-masked',
        line: 13,
      },
      {
        title: 'the flush does neither',
        model: 'world-switch',
        trace: `${columns}load,0,0\nflush,0,0\nmask_irq,0,0,vtimer,,0\nentry,0,0\nexit,0,0\nsync,0,0\nflush,0,0\nentry,0,0\n`,
        message: 'unwritten',
        line: 9,
      },
      {
        title: 'the sync enables the interrupt before it looks at the timer',
        model: 'load-put-4.15',
        trace: `${columns}${loaded}${expires}mask_irq,0,0,vtimer,,0\nupdate_irq,0,0,,27,0\nexit,0,0\nentry,0,0\n`,
        message: 'enabled-early',
        line: 11,
      },
      {
        title: 'masked for a guest of the vgic in the kernel',
        model: 'load-put-4.15',
        trace: `event,vcpu,cpu,timer,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,27,1\nvgic_inject,0,0,,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nload,0,0\nmask_irq,0,0,vtimer,,1\n`,
        message: 'in-kernel',
        line: 11,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    const inFlush = model.id === 'world-switch';
    /** By CPU: whether the virtual timer's interrupt is masked. */
    const masked: Known[] = [];
    /** Vcpus for which it has been masked or enabled. */
    const without = new Marks();
    /** By vcpu: its interrupts go into the vgic of the kernel. */
    const injected = new Marks();
    /** By vcpu: it has been masked or enabled since the load, or flush; undefined where that was not seen. */
    const written: (boolean | undefined)[] = [];

    function violate(event: TimerEvent, message: string): void {
      context.violate(event, {
        message,
        data: { vcpu: vcpuName(machine, event.vcpu), timer: timerText(Timer.vtimer), cpu: event.cpu },
        witness: [levelOf(event.vcpu).update, machine.vcpu(event.vcpu).last[Kind.load]],
      });
    }

    const levelOf = (vcpu: number) => machine.vcpu(vcpu).contexts[Timer.vtimer] as TimerContext;

    const begin = (event: TimerEvent) => {
      if (event.vcpu >= 0) written[event.vcpu] = false;
    };

    return {
      before: {
        load(event) {
          if (!inFlush) begin(event);
        },
        flush(event) {
          if (inFlush) begin(event);
        },
        vgic_inject(event) {
          if (event.vcpu < 0) return;
          injected.add(event.vcpu);
          without.delete(event.vcpu);
        },
        mask_irq(event) {
          if (event.timer === Timer.ptimer || event.cpu < 0 || event.level < 0) return;
          const { running, inTimerIrq } = machine.cpu(event.cpu);
          masked[event.cpu] = event.level === 1 ? yes : 0;
          const vcpu = event.vcpu >= 0 ? event.vcpu : running;
          if (vcpu < 0) return;
          if (injected.has(vcpu)) {
            if (event.vcpu >= 0) violate(event, 'in-kernel');
            return;
          }
          if (event.vcpu >= 0 && event.level === 0 && levelOf(vcpu).level === yes) violate(event, 'enabled-early');
          // An interrupt that came late masks it whatever the level; the next sync enables it again.
          if (inTimerIrq === yes && event.level === 1 && levelOf(vcpu).level !== yes) masked[event.cpu] = unknown;
          without.add(vcpu);
          written[vcpu] = true;
        },
        entry: when(without.occasion, (event) => {
          if (event.vcpu < 0 || !without.has(event.vcpu)) return;
          const { level } = levelOf(event.vcpu);
          const state = masked[event.cpu] ?? unknown;
          if (written[event.vcpu] === false) violate(event, 'unwritten');
          else if (written[event.vcpu] === undefined || level === unknown || state === unknown)
            context.undecided(event, because.initial);
          else if (level === state) context.hold(event);
          else if (level === yes) violate(event, 'unmasked');
          else violate(event, 'left-masked');
        }),
        lost() {
          masked.fill(unknown);
          written.fill(undefined);
        },
      },
    };
  },
});
