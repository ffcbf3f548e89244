import type { Score } from './score.js';

/** Why no rule names a mutant: what a trace cannot show, or what does no harm. The first that fits counts. */
export interface Explanation {
  readonly reason: string;
  fits(score: Score): boolean;
}

const effect = (pattern: RegExp) => (score: Score) => pattern.test(score.mutant.effect);
const role =
  (...roles: string[]) =>
  (score: Score) =>
    roles.includes(score.mutant.role);
const mutation = (name: string) => (score: Score) => score.mutant.mutation === name;
const design =
  (...ids: string[]) =>
  (score: Score) =>
    ids.includes(score.mutant.design.id);
const traced = design('timer-map', 'offset', 'stateless-level');
const fate = (name: string) => (score: Score) => score.fate === name;
const all =
  (...tests: ((score: Score) => boolean)[]) =>
  (score: Score) =>
    tests.every((test) => test(score));
const any =
  (...tests: ((score: Score) => boolean)[]) =>
  (score: Score) =>
    tests.some((test) => test(score));

/** What 5.1 and later, which trace saves, restores and maps, leave in the dark all the same. Before the general ones. */
const sinceTimerMap: readonly Explanation[] = [
  {
    reason:
      'in a trap or a put everybody has cancelled the soft timer before; evaluated, or reset after its put, none is armed',
    fits: all(traced, fate('same'), role('emulate', 'reset'), effect(/^cancel soft timer/)),
  },
  {
    reason: 'the soft timer is cancelled in the put in any case, a moment earlier or later',
    fits: all(traced, mutation('misplaced'), role('reset'), effect(/^cancel soft timer\(emul_ptimer\)/)),
  },
  {
    reason: 'a guest that has acknowledged the interrupt and not ended it keeps it active, and leaves the same records',
    // In kvm_timer_sync_user the active state is cleared already, for a vcpu without a vgic.
    fits: all(
      traced,
      any(mutation('left out'), ({ mutant }) => mutant.name.endsWith('misplaced to kvm_timer_sync_user')),
      role('fold_irq'),
      effect(/^distributor active\(x\) := false/),
    ),
  },
  {
    reason: 'the active states of two timers, given back by the same put, or the levels lowered by the same reset',
    fits: all(
      traced,
      mutation('swapped'),
      any(
        all(role('timer_put'), effect(/^distributor active\(direct_vtimer\) := false/)),
        all(role('reset'), effect(/^kvm_timer_update_irq\(vtimer, false\)/)),
      ),
    ),
  },
  {
    reason: 'the two timers of the guest of a hypervisor are cancelled and evaluated in any order within one exit',
    fits: all(traced, mutation('swapped'), role('sync_nested')),
  },
  {
    reason: 'a host with FEAT_ECV evaluates nothing at the exits of a hypervisor',
    fits: all(traced, mutation('left out'), role('run'), effect(/^kvm_timer_sync_nested/)),
  },
  {
    reason:
      'the traps may be written anywhere in a load, before the entry; without VHE once more with what they have already',
    fits: all(
      traced,
      any(
        all(
          design('offset', 'stateless-level'),
          mutation('swapped'),
          role('timer_load'),
          effect(/^timer_emulate\(emul_ptimer\)/),
        ),
        all(mutation('misplaced'), role('set_traps'), effect(/: host$/)),
      ),
    ),
  },
  {
    reason: '5.1 reports no level in a load (bae561c0cff7)',
    fits: all(design('timer-map'), mutation('left out'), role('load_irq'), effect(/^kvm_timer_update_irq/)),
  },
  {
    reason: 'without any record of timer_emulate, or of an injection, its tracepoint may be off',
    fits: all(
      traced,
      mutation('left out'),
      any(
        all(design('timer-map'), role('timer_load'), effect(/^timer_emulate\(emul_ptimer\)/)),
        all(role('update_irq'), effect(/^vgic inject/)),
      ),
    ),
  },
  {
    reason:
      'KVM_ARM_SET_COUNTER_OFFSET (6.4) sets the offset of a VM without a record, and from then on writes of the counter do nothing',
    fits: all(
      design('offset', 'stateless-level'),
      mutation('left out'),
      role('user_offset'),
      effect(/^offset of the VM/),
    ),
  },
  {
    reason:
      'what the hypervisor writes is in a buffer of its own: its order among records of the host within one exit is not certain',
    fits: all(traced, mutation('swapped'), role('run'), effect(/^__timer_disable_traps/)),
  },
  {
    reason:
      'the vgic takes back list registers only of vcpus with a vgic, the sync lowers levels only of those without',
    fits: all(traced, mutation('swapped'), role('run'), effect(/^vgic_v3_fold/)),
  },
];

/** Of the generations before, what only shows beside an access to the physical timer. */
const physicalTimer: readonly Explanation[] = [
  {
    reason:
      'one flush evaluates the levels and arms the emulated timer, one exit cancels it and evaluates the levels, in any order',
    fits: all(
      design('world-switch'),
      any(
        all(mutation('swapped'), role('flush'), effect(/^kvm_timer_update_state/)),
        all(mutation('misplaced'), role('sync'), effect(/^cancel bg_timer/)),
      ),
    ),
  },
  {
    reason:
      'kernels up to 4.18 do not evaluate the physical timer in a load (7afc4ddbf299): a known bug of this generation',
    fits: all(
      design('load-put-4.16'),
      any(mutation('left out'), mutation('misplaced')),
      role('timer_load'),
      effect(/^kvm_timer_update_state\(ptimer\)/),
    ),
  },
];

export const explanations: readonly Explanation[] = [
  ...sinceTimerMap,
  ...physicalTimer,
  {
    reason: 'a barrier leaves no record; that it is missing shows only on hardware that is late',
    fits: effect(/^isb$/),
  },
  {
    reason: 'written at EL2 by the world switch, where no tracepoint or probe of the host is',
    fits: all(fate('same'), any(effect(/CNTHCTL|_traps\(/), role('set_traps'))),
  },
  {
    reason: 'done twice in a row it leaves every record as it is',
    fits: all(fate('same'), mutation('doubled')),
  },
  {
    reason: 'done twice in a row it leaves the same state: it costs, and costs are compared, not judged',
    fits: mutation('doubled'),
  },
  {
    reason: 'the function is empty in the RFC',
    fits: all(design('rfc-load-put'), role('run'), effect(/^kvm_timer_flush_hwstate/)),
  },
  {
    reason:
      'W4: the ioctl has loaded the vcpu, so that the registers are read over what was written, there or in the put',
    fits: all(design('rfc-load-put'), fate('same'), role('user_write'), effect(/update_state/)),
  },
  {
    reason: 'the two effects do not depend on each other, and no record tells their order',
    fits: all(fate('same'), mutation('swapped')),
  },
  {
    reason: 'two timers whose order is of no consequence',
    fits: all(mutation('swapped'), effect(/\((direct_vtimer|direct_ptimer)\)$/), role('timer_load', 'timer_put')),
  },
  {
    reason: 'the map of virtual to physical interrupts belongs to the vgic, which records nothing of it',
    fits: effect(/map virtual to physical/),
  },
  {
    reason: 'the vgic records nothing of its own reset',
    fits: all(fate('same'), effect(/reset the mapped interrupt/)),
  },
  {
    reason: 'it moves within one function or between two that follow each other without a record between them',
    fits: all(fate('same'), mutation('misplaced')),
  },
  {
    reason: 'no record tells when, between entry and exit, the guest ran',
    fits: all(
      mutation('swapped'),
      role('run'),
      effect(/^__timer_(enable|disable)_traps|^__timer_(save|restore)_state/),
    ),
  },
  {
    reason: 'no interrupt of the timer reaches this host, so that nobody asks which vcpu is loaded',
    fits: (score) => score.mutant.design.id === 'world-switch' && /^running vcpu/.test(score.mutant.effect),
  },
  {
    reason:
      'the vgic keeps its lines and list registers to itself: since 4.16 no record tells that it has sampled a line',
    fits: any(effect(/^vgic: (line|reset)/), all(role('run', 'fold'), effect(/^vgic_v3_fold|^kvm_vgic_sync/))),
  },
  {
    reason:
      'the work item runs at once, so that there is none to cancel; one that is late wakes a thread that is awake',
    fits: effect(/^cancel work item/),
  },
  {
    reason: 'memory is up to date there: the save has just read the registers',
    fits: all(fate('same'), role('schedule'), effect(/should_fire/)),
  },
  {
    reason: 'the emulated timer and the direct one are cancelled and saved in any order',
    fits: all(mutation('swapped'), role('timer_put'), effect(/^cancel soft timer|^vtimer_save_state/)),
  },
  {
    reason: 'still in the same load, and before the timer is restored',
    fits: all(mutation('misplaced'), role('timer_load'), effect(/^wr CNTVOFF|unblocking/)),
  },
  {
    reason: 'affinity, active state and offset are set in any order before the timer is restored',
    fits: all(
      mutation('swapped'),
      role('timer_load'),
      any(
        effect(/^irq_set_vcpu_affinity/),
        effect(/^distributor/),
        (score) => score.mutant.next !== 'restore' && /^wr CNTVOFF/.test(score.mutant.effect),
      ),
    ),
  },
  {
    reason: 'a trace without any write of the register looks like one without a probe on it',
    fits: all(
      mutation('left out'),
      any(role('set_offset', 'set_traps'), all(role('timer_load', 'enter', 'leave'), effect(/_set_traps/))),
      effect(/^wr CNT|_set_traps/),
    ),
  },
  {
    reason: 'read and written at EL2 around the guest, which may have programmed the timer so itself, unseen',
    fits: (score) =>
      score.mutant.design.id === 'world-switch' &&
      ['enter', 'leave'].includes(score.mutant.role) &&
      /mem\.(ctl|cval)/.test(score.mutant.effect),
  },
  {
    reason: 'the background timer is cancelled and the timer restored in any order within a load or the end of a wait',
    fits: all(
      mutation('swapped'),
      any(all(role('timer_load'), effect(/unblocking/)), all(role('unschedule'), effect(/^v?timer_restore_state/))),
    ),
  },
  {
    reason:
      'the only write of the active state in its design: a trace without any looks like one without a probe on it',
    fits: all(
      mutation('left out'),
      effect(/^distributor active/),
      any(all(design('world-switch'), role('flush')), all(design('rfc-load-put'), role('timer_load'))),
    ),
  },
  {
    reason:
      'after the put only a late interrupt asks for the running vcpu: in the RFC it is named by itself (W2), in 4.15 it finds CTL clear and does nothing for any vcpu',
    fits: all(
      mutation('left out'),
      design('rfc-load-put', 'load-put-4.15'),
      role('put'),
      effect(/^running vcpu of this CPU := NULL/),
    ),
  },
  {
    reason: 'at a save the traps are those of the host already; on VHE hosts the function writes nothing (W14)',
    fits: all(design('rfc-load-put'), mutation('misplaced'), role('timer_put'), effect(/^__timer_disable_traps/)),
  },
  {
    reason: 'the flag stays set between the loads, as it does for good from 4.15 on: no other interrupt reads it',
    fits: all(design('rfc-load-put'), mutation('left out'), role('timer_put'), effect(/^irq_set_vcpu_affinity/)),
  },
  {
    reason:
      'the copy of CTL stays at what was written or read last: the trace is that of a guest which has not written CTL since',
    fits: all(design('rfc-load-put'), mutation('left out'), role('save'), effect(/^mem\.ctl := rd CTL/)),
  },
  {
    reason:
      'the traps are those of the guest from the flush on, and nothing of the host uses what they trap before the entry',
    fits: all(design('rfc-load-put'), mutation('misplaced'), role('run'), effect(/^__timer_enable_traps/)),
  },
  {
    reason: 'the copy in memory of a loaded timer is nobody’s: the next save or sync writes it before it is read',
    fits: all(design('rfc-load-put'), mutation('misplaced'), role('schedule'), effect(/^kvm_timer_should_fire/)),
  },
  {
    reason:
      'whether the guest has taken or ended its interrupt is in no record: it stays active while a guest handles it, and comes again when one has ended it',
    fits: all(
      any(mutation('left out'), mutation('misplaced')),
      role('fold'),
      effect(/^distributor active\(vtimer\) := false/),
    ),
  },
  {
    reason:
      'level and soft timer of the same moment: their order matters only if the deadline passes between the two looks (7afc4ddbf299), which no record tells from just after',
    fits: any(
      all(mutation('swapped'), design('load-put-4.15'), role('trapped_access'), effect(/update_state/)),
      all(
        mutation('swapped'),
        design('load-put-4.16', 'load-put-5.0'),
        role('update_state'),
        effect(/^phys_timer_emulate/),
      ),
    ),
  },
  {
    reason: 'the virtual and the physical timer are evaluated in any order',
    fits: all(
      mutation('swapped'),
      design('load-put-4.16', 'load-put-5.0'),
      role('update_state'),
      effect(/^kvm_timer_update_irq\(vtimer/),
    ),
  },
  {
    reason: 'wherever it is evaluated its level is evaluated next: a load arms the soft timer twice, for one deadline',
    fits: all(
      mutation('misplaced'),
      design('load-put-4.16', 'load-put-5.0'),
      role('update_state'),
      effect(/^phys_timer_emulate/),
    ),
  },
  {
    reason: 'the emulated timer and the direct one are evaluated and restored in any order within a load',
    fits: any(
      all(mutation('swapped'), role('timer_load'), effect(/^vtimer_restore_state/)),
      all(mutation('misplaced'), role('timer_load'), effect(/^timer_emulate\(emul_ptimer\)/)),
    ),
  },
  {
    reason: 'still in the same put: the emulated timer is cancelled before or after the direct one is saved',
    fits: all(mutation('misplaced'), role('timer_put'), effect(/^cancel soft timer/)),
  },
  {
    reason: 'the traps may be written anywhere in a load, before the guest is entered',
    fits: (score) =>
      mutation('misplaced')(score) && /_set_traps\(\), misplaced to kvm_timer_vcpu_load_gic/.test(score.mutant.name),
  },
  {
    reason: 'once the timer is saved, the offset and the affinity are given back in any order',
    fits: all(mutation('swapped'), role('timer_put'), effect(/^wr CNTVOFF/)),
  },
];
