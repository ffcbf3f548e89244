import type { KnownBug } from './bug.js';

// Source: specification §5, entries 19 to 29: 5.1 and later, and what was mended only there.

export const timerMapBugs: readonly KnownBug[] = [
  {
    id: 'bug-19',
    title: 'arch_timer: Fix CNTP_TVAL calculation',
    commits: ['8fa761624871', '84135d3d18da'],
    kernels: '5.1-rc',
    span: [5001, 5001],
    candidatesOnly: true,
    wrong:
      'A trapped write of TVAL subtracted the counter from the value instead of adding it: the deadline was one that never comes, or had long passed.',
    models: ['timer-map'],
    signs: [{ rule: 'soft-timer-follows-emulated-context', diagnoses: ['never-due'], timer: 'ptimer' }],
  },
  {
    id: 'bug-20',
    title: 'KVM_REG_ARM_PTIMER_CNT reads the virtual count',
    commits: [],
    kernels: '5.1 to at least 5.4',
    span: [5001, 5009],
    wrong: 'KVM_GET_ONE_REG gave the virtual count for the physical one, so that migration moved the wrong value.',
    models: ['timer-map'],
    signs: [],
    invisible: 'KVM_GET_ONE_REG leaves no record, and what it returns nobody traces',
  },
  {
    id: 'bug-21',
    title: "KVM: arm/arm64: Don't emulate virtual timers on userspace ioctls",
    commits: ['6bc210003dff'],
    kernels: '5.1 to 5.2',
    span: [5001, 5002],
    wrong:
      'KVM_SET_ONE_REG armed a soft timer for the virtual timer, which the hardware drives: its callback raised the level behind the back of the registers.',
    models: ['timer-map'],
    signs: [{ rule: 'soft-timer-follows-emulated-context', diagnoses: ['direct'], timer: 'vtimer' }],
  },
  {
    id: 'bug-22',
    title: 'KVM: arm/arm64: Mark physical interrupt active when a virtual interrupt is pending',
    commits: ['bae561c0cff7'],
    kernels: '4.16 to 5.2',
    span: [4016, 5002],
    wrong:
      'A load with the interrupt of the timer pending left it inactive at the distributor: the host took an interrupt for nothing at every such load.',
    models: ['load-put-4.16', 'load-put-5.0', 'timer-map'],
    signs: [{ rule: 'dist-active-at-load', diagnoses: ['known-pending-inactive'] }],
  },
  {
    id: 'bug-23',
    title: 'the traps of VHE are not set again when a CPU comes back',
    commits: ['02d50cdaff36'],
    kernels: '4.10 to 4.12, VHE',
    span: [4010, 4012],
    wrong:
      'CNTHCTL_EL2 was written once at boot. A CPU that lost its state in a power transition or was brought up again ran guests without it.',
    models: ['world-switch'],
    signs: [],
    invisible: 'no event shows that a CPU lost its state, nor which writes of CNTHCTL_EL2 came before the trace began',
  },
  {
    id: 'bug-24',
    title: "KVM: arm64: Don't arm a hrtimer for an already pending timer",
    commits: ['4d74ecfa6458'],
    kernels: '5.1 to 6.2',
    span: [5001, 6002],
    wrong:
      'The soft timer of an emulated context was armed although its level was high already: it fired at once, for nothing, at every load.',
    models: ['timer-map'],
    signs: [{ rule: 'soft-timer-follows-emulated-context', diagnoses: ['known-armed-while-pending'] }],
  },
  {
    id: 'bug-25',
    title: 'KVM: arm64: timer: Always evaluate the need for a soft timer',
    commits: ['b450dcce93bc'],
    kernels: '5.1 to 6.13',
    span: [5001, 6013],
    wrong:
      'timer_emulate returned after it had changed the level, and armed nothing although the deadline had moved to the future: the interrupt came at the next load only.',
    models: ['timer-map', 'offset'],
    signs: [{ rule: 'soft-timer-follows-emulated-context', diagnoses: ['known-not-armed-after-level-change'] }],
  },
  {
    id: 'bug-26',
    title: 'timers: Use a per-vcpu, per-timer accumulator for fractional ns',
    commits: [],
    kernels: 'up to 6.3',
    span: [4004, 6003],
    wrong:
      'All timers shared one accumulator of fractions of a nanosecond, unlocked: concurrent conversions could shift a deadline a little.',
    models: ['world-switch', 'load-put-4.15', 'load-put-4.16', 'load-put-5.0', 'timer-map'],
    signs: [],
    invisible:
      'the shift is of the order of a nanosecond, below what the time of a record and the reading of two clocks leave certain',
  },
  {
    id: 'bug-27',
    title: "KVM: arm64: timer: Don't adjust the EL2 virtual timer offset",
    commits: ['0e4598102855'],
    kernels: '6.4 to 6.13, nested',
    span: [6004, 6013],
    wrong:
      "The offset of the virtual counter was applied to the guest hypervisor's own virtual timer, and the emulated timers of EL1 were not evaluated at exits.",
    models: ['offset'],
    signs: [{ rule: 'cntvoff-correct-in-guest', diagnoses: ['hypervisor-adjusted'] }],
  },
  {
    id: 'bug-28',
    title: 'Fix use of kernel VAs at EL2 when emulating timers with nVHE',
    commits: [],
    kernels: '6.x without VHE, fixed in 6.14',
    span: [6004, 6013],
    wrong: 'The hypervisor followed pointers of the kernel at EL2, where they mean nothing: it faulted.',
    models: ['offset'],
    signs: [],
    invisible: 'the host crashes inside the world switch, where nothing is traced',
  },
  {
    id: 'bug-29',
    title: 'KVM: arm64: Fix timer offsets for non-protected VMs',
    commits: ['47d3eef780e3'],
    kernels: 'up to 7.2, pKVM',
    span: [6004, 7002],
    wrong:
      'The hypervisor of a pKVM host ignored the offsets of VMs that are not protected: it and the host disagreed about the traps and the counter, and the VM hung.',
    models: ['offset', 'stateless-level'],
    signs: [],
    invisible:
      'the hypervisor of a pKVM host writes the traps at EL2, and the host has no record of what it writes there',
  },
];
