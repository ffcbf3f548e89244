import type { KnownBug } from './bug.js';

// Source: specification §5, entries 1 to 8: kernels up to 4.9, before save and restore moved to load and put. The first
// three are older than every model, and the seventh needs deadlines, which no kernel of its time records: their traces are
// shown under the nearest model.

export const earlyBugs: readonly KnownBug[] = [
  {
    id: 'bug-01',
    title: 'arm/arm64: KVM: Fix migration race in the arch timer',
    commits: ['1a74847885cc'],
    kernels: 'up to 4.0',
    span: [3011, 4000],
    wrong:
      'The work item of the background timer masked the timer of the guest and injected an interrupt by itself while userspace read the state of a stopped vcpu: vgic before, timer after. The guest arrived with a masked timer and no interrupt.',
    models: ['rfc-load-put'],
    signs: [{ rule: 'restore-equals-last-save', diagnoses: ['ctl-changed'] }],
  },
  {
    id: 'bug-02',
    title: 'arm/arm64: KVM: arch_timer: Only schedule soft timer on vcpu_block',
    commits: ['d35268da6687'],
    kernels: 'up to 4.3',
    span: [3011, 4003],
    wrong: 'Every exit armed the background timer, although the vcpu did not wait, and every entry cancelled it.',
    models: ['world-switch'],
    signs: [{ rule: 'bg-armed-only-when-blocked', diagnoses: ['not-waiting'] }],
  },
  {
    id: 'bug-03',
    title: 'arm/arm64: KVM: Rework the arch timer to use level-triggered semantics',
    commits: ['4b4b4512da2a'],
    kernels: 'up to 4.3',
    span: [3011, 4003],
    wrong:
      'The interrupt was an edge: a guest that disabled its timer with interrupts off got it all the same, because nothing lowered the level.',
    models: ['world-switch'],
    signs: [{ rule: 'level-lowered-at-sync', diagnoses: ['not-lowered'] }],
  },
  {
    id: 'bug-04',
    title: 'KVM: arm/arm64: Fix preemptible timer active state crazyness',
    commits: ['7e16aa81f9f6'],
    kernels: '4.4-rc',
    span: [4004, 4004],
    candidatesOnly: true,
    wrong:
      'The flush wrote the active state of the interrupt while preemption was on. The thread could move in between and enter on another CPU, whose active state was never written.',
    models: ['world-switch'],
    signs: [{ rule: 'flush-entry-sync-order', diagnoses: ['switched-after-flush'] }],
  },
  {
    id: 'bug-05',
    title: 'KVM: arm/arm64: arch_timer: Preserve physical dist. active state on LR.active',
    commits: ['0e3dfda91d9f'],
    kernels: '4.4-rc',
    span: [4004, 4004],
    candidatesOnly: true,
    wrong:
      'The flush cleared the active state of the interrupt whenever the level was low, also while the virtual interrupt was active: a list register bound to an interrupt that is not active.',
    models: ['world-switch'],
    signs: [],
    invisible:
      'whether the virtual interrupt is active stands in a list register, which no event shows: the same events are right where the guest has ended its interrupt',
  },
  {
    id: 'bug-06',
    title: 'KVM: arm/arm64: Fix reference to uninitialised VGIC',
    commits: ['b3aff6ccbb1d'],
    kernels: '4.4 to 4.5',
    span: [4004, 4005],
    wrong: 'The flush went on to ask the vgic about the interrupt before the vgic was initialised.',
    models: ['world-switch'],
    signs: [{ rule: 'disabled-vcpu-silent', diagnoses: ['noise'] }],
  },
  {
    id: 'bug-07',
    title: 'KVM: arm/arm64: Fix occasional warning from the timer work function',
    commits: ['63e41226afc3'],
    kernels: 'up to 4.9',
    span: [4004, 4009],
    wrong:
      'The background timer runs a little before the deadline that the guest sees, because its clock is slewed. The work item woke the vcpu too early, and warned, instead of arming it again.',
    models: ['world-switch'],
    signs: [{ rule: 'timer-not-early', diagnoses: ['woken-early'] }],
  },
  {
    id: 'bug-08',
    title: 'KVM: arm64: Access CNTHCTL_EL2 bit fields correctly on VHE systems',
    commits: ['488f94d7212b'],
    kernels: 'up to 4.9, VHE',
    span: [4004, 4009],
    wrong:
      'Every entry and exit wrote CNTHCTL_EL2 in the layout of a host without VHE. On VHE these bits are those of the host: the guest could reach the physical timer.',
    models: ['world-switch'],
    signs: [{ rule: 'vhe-traps-not-toggled', diagnoses: ['wrong-layout'] }],
  },
];
