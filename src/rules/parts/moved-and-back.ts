import type { TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import type { ModelId } from '../../models/model.js';
import type { RuleContext } from '../context.js';
import type { Example, Message, ViolatingExample } from '../rule.js';
import { isSameValue, mayNest, Slots, valueText, vcpuName } from '../support.js';

export const backMessages: Readonly<Record<string, Message>> = {
  'moved-and-back': {
    headline: '{vcpu} enters the guest on CPU {cpu} with counter offset {found}, before and after that with {expected}',
    given: '{vcpu} was loaded with counter offset {expected}, and is so again',
    must: 'an offset that has been set anew does not come back to the tick: it is the counter less what userspace wrote',
    but: '{found} was written in between',
    therefore: 'the virtual counter of the guest jumps by the difference, and jumps back at the next load',
  },
};

const columns = 'event,vcpu,cpu,value\n';
const run = (value: string) => `load,0,0\nset_cntvoff,0,0,${value}\nrestore,0,0\nentry,0,0\nexit,0,0\n`;
/** A load of which a probe shows the offset. */
const shown = run('0x1000').replace('set', 'timer_load,0,0,0x1000\nset');
const away = 'sched_switch,0,0\nput,0,0\nsave,0,0\nset_cntvoff,0,0,0\n';

export const backLegal: readonly Example[] = [
  {
    title: 'a vcpu is created, or the counter is set: the offset changes for good',
    model: 'timer-map',
    trace: `${columns}${shown}${away}${run('0x1000')}${away}${run('0x2000')}${away}${run('0x2000')}`,
  },
  {
    title: '6.4: userspace sets the offset itself, and takes it back',
    model: 'offset',
    trace: `event,vcpu,cpu,value,dv,dp,ev,ep\ntimer_map,0,0,,1,0,none,none\n${shown}${away}${run('0x1000')}put,0,0\nsave,0,0\nuserspace_exit,0,0\n${run('0x2000')}put,0,0\nsave,0,0\nuserspace_exit,0,0\n${run('0x1000')}`,
  },
];

export const backViolating: readonly ViolatingExample[] = [
  {
    title: 'another offset for one run',
    model: 'timer-map',
    trace: `${columns}${run('0x1000')}${away}${run('0x2000')}${away}${run('0x1000')}`,
    message: 'moved-and-back',
    line: 14,
  },
  {
    title: '6.4: another offset for one run, and the vcpu has not been in userspace',
    model: 'offset',
    trace: `event,vcpu,cpu,value,dv,dp,ev,ep\ntimer_map,0,0,,1,0,none,none\nuserspace_exit,0,0\n${run('0x1000')}${away}${run('0x2000')}${away}${run('0x1000')}`,
    message: 'moved-and-back',
    line: 16,
  },
];

/** The models of 6.4 and later: KVM_ARM_SET_COUNTER_OFFSET sets whatever offset, and a hypervisor in the guest has its own. */
const settable: readonly ModelId[] = ['offset', 'stateless-level'];

/**
 * Where no function shows the offset of a VM, its loads tell of one that is not the VM's. The offset may change without a
 * record, when userspace writes the counter or creates a vcpu (kvm_timer_vcpu_init): it is then the physical counter of
 * that moment less a number, and does not come back to what it was. From 6.4 on userspace may set any offset, while no
 * vcpu of the VM is in KVM_RUN.
 */
export class MovedAndBack {
  readonly #context: RuleContext;
  readonly #isSettable: boolean;
  /** By vcpu: the last write of the offset that its loads have had. */
  readonly #usual = new Slots();
  /** By vcpu: the first write of another one since, and the entry with it. */
  readonly #other = new Slots();
  readonly #entries = new Slots();

  constructor(context: RuleContext) {
    this.#context = context;
    this.#isSettable = context.candidates.some((id) => settable.includes(id));
  }

  /**
   * A vcpu enters the guest.
   *
   * @param write of the offset, by its last load
   */
  entered(entry: TimerEvent, write: TimerEvent): void {
    const { vcpu } = entry;
    const usual = this.#usual.get(vcpu);
    const other = this.#other.get(vcpu);
    // Entered again since.
    if (write.serial === (other ?? usual)?.serial) return;
    if (usual !== undefined && !isSameValue(write, usual)) {
      if (other !== undefined && isSameValue(write, other)) return;
      if (other !== undefined) this.#usual.set(vcpu, other);
      this.#other.set(vcpu, write);
      this.#entries.set(vcpu, entry);
      return;
    }
    if (usual !== undefined && other !== undefined) {
      if (this.#isCertain(vcpu, usual)) this.#violate(entry, usual, other, write);
      this.#drop(vcpu);
    }
    this.#usual.set(vcpu, write);
  }

  /** Records were lost. */
  forget(): void {
    this.#usual.each((_, vcpu) => this.#usual.clear(vcpu));
    this.#other.each((_, vcpu) => this.#drop(vcpu));
  }

  /** Whether neither userspace nor a hypervisor in the guest can have moved it back. */
  #isCertain(vcpu: number, usual: TimerEvent): boolean {
    if (!this.#isSettable) return true;
    const state = this.#context.machine.vcpu(vcpu);
    if (mayNest(this.#context, state) || !this.#context.records(Kind.userspace_exit)) return false;
    return state.last[Kind.userspace_exit].serial < usual.serial;
  }

  #violate(event: TimerEvent, usual: TimerEvent, other: TimerEvent, back: TimerEvent): void {
    const entry = this.#entries.get(event.vcpu) as TimerEvent;
    this.#context.violate(event, {
      message: 'moved-and-back',
      data: {
        vcpu: vcpuName(this.#context.machine, event.vcpu),
        cpu: entry.cpu,
        found: valueText(other),
        expected: valueText(usual),
      },
      witness: [usual, other, back],
      at: entry,
    });
  }

  #drop(vcpu: number): void {
    this.#other.clear(vcpu);
    this.#entries.clear(vcpu);
  }
}
