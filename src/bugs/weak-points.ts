import type { KnownBug, WeakPoint } from './bug.js';

// Source: specification §2b, "Weak points of the RFC". W1, W2, W3, W4, W5, W7, W8, W9 and W12 have been seen in
// recordings of the patch on its own base (§4.8, point 19).

const points: readonly WeakPoint[] = [
  {
    id: 'W1',
    title: 'the forwarded flag is one for all CPUs, but every put clears it',
    commits: ['b103cc3f10c0'],
    wrong:
      'A put on one CPU clears the forwarded flag of the interrupt for all. The end of interrupt of another CPU then deactivates it while the line is high: it fires again and again, until some load sets the flag.',
    signs: [
      { rule: 'affinity-forwarded-while-any-loaded', diagnoses: ['cleared'] },
      { rule: 'irq-not-repeated-while-level-high', diagnoses: ['repeated', 'storm'] },
    ],
  },
  {
    id: 'W2',
    title: 'the handler dereferences the running vcpu without asking whether there is one',
    wrong:
      'The line was latched before the put stopped the timer, and no isb follows. The interrupt comes when no vcpu runs on the CPU: the handler reads through a NULL pointer and the host oopses.',
    signs: [{ rule: 'irq-only-when-loaded', diagnoses: ['no-vcpu'] }],
  },
  {
    id: 'W3',
    title: 'the handler overwrites the saved CTL',
    commits: ['36e5cfd410ad'],
    wrong:
      'An interrupt comes after the save while the vcpu is still the running one. The level is low, so the handler refreshes the memory copy of CTL from the stopped hardware: the timer of the guest stays off.',
    signs: [{ rule: 'restore-equals-last-save', diagnoses: ['ctl-clobbered-by-irq'] }],
  },
  {
    id: 'W4',
    title: 'userspace writes and resets are lost while the vcpu is loaded',
    commits: ['e761a927bc9a'],
    wrong:
      'Every ioctl loads the vcpu. A register write or a reset changes the copy in memory, and the put at the end of the ioctl saves the registers of the hardware over it.',
    signs: [
      { rule: 'user-write-survives', diagnoses: ['lost'] },
      { rule: 'reset-clears-timer', diagnoses: ['ctl-survives'] },
    ],
  },
  {
    id: 'W5',
    title: 'the timer is enabled after the load of the first run',
    commits: ['0eb7c33cadf6'],
    wrong:
      'The first KVM_RUN loads the vcpu before it enables the timer, so the load restores nothing. The guest starts with CTL 0 and the deadline of another vcpu; what userspace had set is overwritten by the first save.',
    signs: [{ rule: 'first-entry-restores-user-state', diagnoses: ['not-restored'] }],
  },
  {
    id: 'W6',
    title: 'the level is lowered, but nobody deactivates the physical interrupt',
    wrong:
      'The guest moves its deadline without acknowledging. The sync lowers the level and the list register is withdrawn, so that the interrupt stays active at the distributor: the next expiry interrupts nobody.',
    signs: [{ rule: 'dist-active-cleared-on-lower', diagnoses: ['stays-active'] }],
  },
  {
    id: 'W7',
    title: 'the handler raises the level of a timer that has not expired',
    wrong:
      'The handler asks whether the timer can fire, not whether it has expired. The guest has moved its deadline in the meantime and takes an interrupt for nothing.',
    signs: [{ rule: 'level-true-only-if-expired', diagnoses: ['not-expired', 'read-unexpired'] }],
  },
  {
    id: 'W8',
    title: 'should_fire reads the registers of the CPU on which it happens to run',
    commits: ['e761a927bc9a'],
    wrong:
      'PSCI CPU_ON resets a vcpu from the thread of another one. If it is still loaded elsewhere, the registers of the wrong CPU are stored as its own.',
    signs: [{ rule: 'state-access-on-load-cpu', diagnoses: ['elsewhere'] }],
  },
  {
    id: 'W9',
    title: "the host's clock reads the virtual counter",
    commits: ['e6d68b00e989'],
    wrong:
      'Up to 4.14 the kernel takes its time from CNTVCT. Without VHE a load shifts it by the offset of the VM, and the put shifts it back.',
    signs: [{ rule: 'host-clock-monotonic', diagnoses: ['stood-still', 'stepped-back', 'jumped'] }],
  },
  {
    id: 'W10',
    title: 'load and put do not ask whether the timer is enabled',
    commits: ['f39d16cbabf9'],
    wrong:
      'Every ioctl loads the vcpu, before the vgic exists and the interrupt has a number. The load asks the vgic about it, and writes its affinity and its active state.',
    signs: [{ rule: 'disabled-vcpu-silent', diagnoses: ['noise'] }],
  },
  {
    id: 'W11',
    title: 'a VM with a userspace irqchip is not catered for',
    wrong:
      'The timer of such a VM is never enabled, but load and put set its affinity and active state. With the support that 4.12 brought nobody would mask the interrupt.',
    signs: [],
    invisible:
      'the base of the RFC has no userspace irqchip: the timer is never written and nothing fires; what load and put do too much is W10',
  },
  {
    id: 'W12',
    title: 'the vgic is called from the interrupt handler, under locks that do not expect it',
    commits: ['006df0f34930'],
    wrong:
      'The handler raises the level in hard interrupt context. If it interrupted a section that holds a lock of the vgic, it waits for its own CPU for ever.',
    signs: [{ rule: 'irq-handler-returns', diagnoses: ['silent', 'unfinished'] }],
  },
  {
    id: 'W13',
    title: 'a new offset does not reach vcpus that are loaded',
    wrong:
      'Userspace writes the counter of one vcpu, which changes the offset of the VM. Vcpus that are loaded keep the old one until their next load: the guest sees two counters.',
    signs: [{ rule: 'cntvoff-uniform-while-loaded', diagnoses: ['differs'] }],
  },
  {
    id: 'W14',
    title: 'the functions for the traps of VHE do nothing',
    wrong:
      'They are called on VHE only, and return at once on VHE. The traps are those that were set at boot, which is right, though not what the message says.',
    signs: [],
    invisible: 'a call without an effect leaves nothing that could be wrong; specification §2b calls it correct',
  },
  {
    id: 'W15',
    title: 'an aborted entry no longer syncs the timer',
    wrong:
      'A level that was raised, and whose timer has been cancelled since, stays high until the next real exit. It does no harm.',
    signs: [],
    invisible: 'such a trace is legal: the level is lowered at the next real exit, as the model says',
  },
];

/** The weak points of [RFC PATCH 5/7], December 2016. */
export const weakPoints: readonly KnownBug[] = points.map((point) => ({
  commits: [],
  ...point,
  kernels: 'the RFC of December 2016',
  models: ['rfc-load-put'],
}));
