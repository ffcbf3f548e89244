import type { KnownBug } from './bug.js';

// Source: specification §5, entries 9 to 18: from the move of save and restore to load and put until 5.2.

export const loadPutBugs: readonly KnownBug[] = [
  {
    id: 'bug-09',
    title: 'KVM: arm/arm64: Properly handle arch-timer IRQs after vtimer_save_state',
    commits: ['36e5cfd410ad', 'b103cc3f10c0'],
    kernels: '4.15-rc',
    span: [4015, 4015],
    candidatesOnly: true,
    wrong:
      'An interrupt that was latched before the save came after it. The handler overwrote the saved CTL with that of the stopped hardware, or raised the level of a timer that did not fire; an isb was missing.',
    models: ['load-put-4.15'],
    signs: [{ rule: 'restore-equals-last-save', diagnoses: ['ctl-clobbered-by-irq'] }],
  },
  {
    id: 'bug-10',
    title: 'KVM: arm/arm64: Fix timer enable flow',
    commits: ['0eb7c33cadf6'],
    kernels: '4.15-rc',
    span: [4015, 4015],
    candidatesOnly: true,
    wrong:
      'The first run enabled the timer while the vcpu was loaded, and restored nothing. A guest that programs its timer and waits before any put sleeps for ever.',
    models: ['load-put-4.15'],
    signs: [{ rule: 'first-entry-restores-user-state', diagnoses: ['not-restored'] }],
  },
  {
    id: 'bug-11',
    title: "KVM: arm/arm64: Don't enable/disable physical timer access on VHE",
    commits: ['ec6449a9c229'],
    kernels: '4.15-rc, VHE',
    span: [4015, 4015],
    candidatesOnly: true,
    wrong: 'Load and put wrote CNTHCTL_EL2 on VHE, in the layout of a host without VHE.',
    models: ['load-put-4.15'],
    signs: [{ rule: 'vhe-traps-not-toggled', diagnoses: ['wrong-layout'] }],
  },
  {
    id: 'bug-12',
    title: 'the interrupt is marked as forwarded although the host cannot forward it',
    commits: ['f384dcfe4d91'],
    kernels: '4.15 to 4.16-rc',
    span: [4015, 4016],
    wrong:
      'On a host without an interrupt controller that the guest can use, the timer interrupt was left to the guest to deactivate, which cannot: it stayed active after the first one and never came again on that CPU.',
    models: ['load-put-4.15', 'load-put-4.16', 'timer-map'],
    signs: [{ rule: 'expired-timer-asserted', diagnoses: ['never-raised'] }],
  },
  {
    id: 'bug-13',
    title: 'KVM: arm/arm64: Reset mapped IRQs on VM reset',
    commits: ['413aa807ae39', '4c60e360d6df'],
    kernels: '4.16',
    span: [4016, 4016],
    wrong:
      'A reset did not touch the state of the timer interrupt in the vgic: the guest booted with an interrupt active or pending from its former life.',
    models: ['load-put-4.16'],
    signs: [{ rule: 'reset-clears-timer', diagnoses: ['active-survives'] }],
  },
  {
    id: 'bug-14',
    title: 'KVM: arm/arm64: Fixup userspace irqchip static key optimization',
    commits: ['cd15d2050c04'],
    kernels: '4.16-rc',
    span: [4016, 4016],
    candidatesOnly: true,
    wrong:
      'Once any VM used a userspace irqchip, the timers of all others no longer injected their interrupts into the vgic.',
    models: ['load-put-4.16'],
    signs: [{ rule: 'vgic-follows-level', diagnoses: ['not-injected'] }],
  },
  {
    id: 'bug-15',
    title: 'KVM: arm/arm64: Avoid vcpu_load for other vcpu ioctls than KVM_RUN',
    commits: [],
    kernels: '4.15 to 4.16',
    span: [4015, 4016],
    wrong:
      'KVM_SET_ONE_REG loaded the vcpu, wrote the copy of the register in memory, and the put at its end saved the hardware over it.',
    models: ['load-put-4.15', 'load-put-4.16'],
    signs: [{ rule: 'user-write-survives', diagnoses: ['lost'] }],
  },
  {
    id: 'bug-16',
    title: 'KVM: arm/arm64: Fix potential loss of ptimer interrupts',
    commits: ['7afc4ddbf299', '245715cbe83c'],
    kernels: '4.15 to 4.18',
    span: [4015, 4018],
    wrong:
      'The level of the emulated physical timer was not evaluated again at the load after the background timer had woken the vcpu: its interrupt was lost, and the guest went back to sleep.',
    models: ['load-put-4.15', 'load-put-4.16'],
    signs: [{ rule: 'soft-timer-follows-emulated-context', diagnoses: ['lost-at-load'] }],
  },
  {
    id: 'bug-17',
    title: 'KVM: arm/arm64: Reset the VCPU without preemption and vcpu state loaded',
    commits: ['e761a927bc9a'],
    kernels: 'up to 4.20',
    span: [4015, 4020],
    wrong:
      "A reset changed the registers in memory while they were loaded, even from another vcpu's thread: the put that followed saved the old ones over them.",
    models: ['load-put-4.15', 'load-put-4.16'],
    signs: [
      { rule: 'state-access-on-load-cpu', diagnoses: ['elsewhere'] },
      { rule: 'reset-clears-timer', diagnoses: ['ctl-survives'] },
    ],
  },
  {
    id: 'bug-18',
    title: 'KVM: arm/arm64: Sync ICH_VMCR_EL2 back when about to block',
    commits: ['5eeaf10eec39'],
    kernels: '4.12 to 5.2',
    span: [4012, 5002],
    wrong:
      'A vcpu that waits was asked whether an interrupt is pending with the priority mask of an earlier time: it went to sleep with its timer interrupt deliverable.',
    models: ['world-switch', 'load-put-4.15', 'load-put-4.16', 'load-put-5.0', 'timer-map'],
    signs: [{ rule: 'asserted-level-reaches-guest', diagnoses: ['sleeps-pending'] }],
  },
];
