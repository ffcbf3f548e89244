import type { Lifecycle, StateName, Transition } from '../design.js';

// The lifecycles of the generations (specification §0.3, §2a, §2b, §2d). Probes of hooks come before what the hooked
// function does, so a state begins with the record that leads to it.

type Row = readonly [from: StateName, event: Transition['event'], to: StateName, note?: string];

const transitions = (rows: readonly Row[]): readonly Transition[] =>
  rows.map(([from, event, to, note]) => ({ from, event, to, ...(note !== undefined && { note }) }));

/** Loads, puts and the wait in WFI: the same in every generation. */
const residence: readonly Row[] = [
  ['OUT', 'load', 'LOADED'],
  ['LOADED', 'put', 'OUT', 'preempted, or the end of the ioctl'],
  ['LOADED', 'schedule', 'BLOCK_PREP'],
  ['BLOCK_PREP', 'put', 'BLOCK_OUT', 'it sleeps, or is preempted on the way'],
  ['BLOCK_PREP', 'unschedule', 'LOADED', 'something was pending: it never slept'],
  ['BLOCK_OUT', 'load', 'BLOCK_BACK'],
  ['BLOCK_BACK', 'put', 'BLOCK_OUT', 'nothing was pending, it sleeps again; or preempted'],
  ['BLOCK_BACK', 'unschedule', 'LOADED'],
];

/** Up to 4.15 every vcpu ioctl loads the vcpu, KVM_RUN before the timer is enabled; the put follows its last record. */
const loadedIoctls: readonly Row[] = [
  ['LOADED', 'enable', 'LOADED', 'first KVM_RUN'],
  ['LOADED', 'user_write', 'LOADED'],
  ['LOADED', 'userspace_exit', 'LOADED', 'the put of the ioctl follows'],
];

/** From 4.16 on only KVM_RUN loads the vcpu, after the timer is enabled and until before its last record. */
const unloadedIoctls: readonly Row[] = [
  ['OUT', 'enable', 'OUT', 'first KVM_RUN'],
  ['OUT', 'user_write', 'OUT'],
  ['OUT', 'userspace_exit', 'OUT', 'the put of KVM_RUN precedes'],
];

/** The host takes the timer's interrupt as soon as interrupts are on again: before kvm_exit is recorded. */
const interruptsLoaded: readonly Row[] = [
  ['GUEST', 'vtimer_irq', 'EXITING', 'the usual sign of an expiry in the guest'],
  ['EXITING', 'vtimer_irq', 'EXITING'],
  ['LOADED', 'vtimer_irq', 'LOADED', 'expired on the host, or latched before the restore'],
  ['BLOCK_PREP', 'vtimer_irq', 'BLOCK_PREP'],
  ['BLOCK_BACK', 'vtimer_irq', 'BLOCK_BACK'],
  ['OUT', 'vtimer_irq', 'OUT', 'inside the put, before its save'],
  ['BLOCK_OUT', 'vtimer_irq', 'BLOCK_OUT', 'inside the put, before its save'],
];

const leftAlone: readonly StateName[] = ['OUT', 'BLOCK_OUT'];

export const worldSwitchLifecycle: Lifecycle = {
  initial: 'OUT',
  final: leftAlone,
  states: {
    OUT: 'CNTV_CTL = 0; the deadline is in memory',
    LOADED: 'CNTV_CTL = 0: a load does nothing to the timer',
    ENTERING: 'CNTV_CTL = 0; level and active state are up to date',
    GUEST: 'CNTV and CNTVOFF_EL2 are the vcpu’s; the physical timer is trapped',
    EXITING: 'CNTV_CTL = 0, CNTVOFF_EL2 = 0: no interrupt of the timer reaches the host',
    BLOCK_PREP: 'CNTV_CTL = 0; the background timer may be armed',
    BLOCK_OUT: 'CNTV_CTL = 0; the background timer may be armed',
    BLOCK_BACK: 'CNTV_CTL = 0; the background timer may still be armed',
  },
  transitions: transitions([
    ...residence,
    ['LOADED', 'flush', 'ENTERING'],
    ['ENTERING', 'sync', 'LOADED', 'aborted entry'],
    ['ENTERING', 'entry', 'GUEST'],
    ['GUEST', 'exit', 'EXITING'],
    ['EXITING', 'sync', 'LOADED'],
    ...loadedIoctls,
  ]),
};

const rfcStates = {
  OUT: 'CNTV_CTL = 0, loaded = false; CNTVOFF_EL2 = 0',
  LOADED: 'loaded = true: CNTV is the vcpu’s, its interrupt forwarded',
  ENTERING: 'CNTV is the vcpu’s',
  GUEST: 'CNTV is the vcpu’s; the physical timer is trapped',
  EXITING: 'CNTV keeps running: its interrupt may reach the host',
  BLOCK_PREP: 'loaded = false, CNTV_CTL = 0; CNTVOFF_EL2 still the VM’s; the background timer may be armed',
  BLOCK_OUT: 'CNTV_CTL = 0; the background timer may be armed',
  BLOCK_BACK: 'loaded = true, while the background timer is still armed (legal)',
} as const;

export const rfcLifecycle: Lifecycle = {
  initial: 'OUT',
  final: leftAlone,
  states: rfcStates,
  transitions: transitions([
    ...residence,
    ['LOADED', 'flush', 'ENTERING', 'an empty function'],
    ['ENTERING', 'entry', 'GUEST'],
    ['ENTERING', 'flush', 'ENTERING', 'after an aborted entry, which has no sync'],
    ['ENTERING', 'put', 'OUT', 'after an aborted entry'],
    ['GUEST', 'sync', 'EXITING', 'interrupts are still off'],
    ['EXITING', 'exit', 'LOADED'],
    ['ENTERING', 'vtimer_irq', 'ENTERING'],
    ['ENTERING', 'userspace_exit', 'LOADED', 'after an aborted entry'],
    ...interruptsLoaded,
    ...loadedIoctls,
  ]),
};

const loadPutStates = {
  OUT: 'CNTV_CTL = 0, loaded = false',
  LOADED: 'loaded = true: CNTV is the vcpu’s',
  GUEST: 'CNTV is the vcpu’s; the physical timer is trapped',
  EXITING: 'CNTV keeps running: its interrupt may reach the host',
  BLOCK_PREP: 'loaded = false, CNTV_CTL = 0; the background timer may be armed',
  BLOCK_OUT: 'CNTV_CTL = 0; the background timer may be armed',
  BLOCK_BACK: 'loaded = true, while the background timer is still armed (legal)',
} as const;

export const loadPut415Lifecycle: Lifecycle = {
  initial: 'OUT',
  final: leftAlone,
  states: loadPutStates,
  transitions: transitions([
    ...residence,
    ['LOADED', 'entry', 'GUEST'],
    ['LOADED', 'sync', 'LOADED', 'aborted entry'],
    ['GUEST', 'sync', 'EXITING', 'interrupts are still off'],
    ['EXITING', 'exit', 'LOADED'],
    ...interruptsLoaded,
    ...loadedIoctls,
  ]),
};

/** From 4.16 on a sync happens for userspace irqchips (and, since 6.14, for nested hypervisors) only. */
const optionalSync: readonly Row[] = [
  ['LOADED', 'entry', 'GUEST'],
  ['LOADED', 'sync', 'LOADED', 'aborted entry'],
  ['GUEST', 'sync', 'EXITING', 'interrupts are still off'],
  ['GUEST', 'exit', 'LOADED'],
  ['EXITING', 'exit', 'LOADED'],
  ['EXITING', 'sync', 'EXITING'],
];

export const loadPutLifecycle: Lifecycle = {
  initial: 'OUT',
  final: leftAlone,
  states: loadPutStates,
  transitions: transitions([...residence, ...optionalSync, ...interruptsLoaded, ...unloadedIoctls]),
};

const timerMapStates = {
  OUT: 'CTL = 0 of all direct timers, loaded = false; no background timer, no soft timer',
  LOADED: 'loaded = true: the direct timers are the vcpu’s; the emulated ones may have a soft timer armed',
  GUEST: 'the direct timers are the vcpu’s, the others are trapped',
  EXITING: 'the direct timers keep running: their interrupts may reach the host',
  BLOCK_PREP: 'loaded = true: it polls; the background timer is not armed before the put',
  BLOCK_OUT: 'CTL = 0; the background timer is armed if a timer can fire',
  BLOCK_BACK: 'loaded = true; the load has cancelled the background timer',
} as const;

export const timerMapLifecycle: Lifecycle = { ...loadPutLifecycle, states: timerMapStates };

export const offsetLifecycle: Lifecycle = {
  ...timerMapLifecycle,
  states: {
    ...timerMapStates,
    OUT: `${timerMapStates.OUT}; CNTVOFF_EL2 = 0`,
    LOADED: `${timerMapStates.LOADED}; CNTVOFF_EL2 is the VM’s while the virtual timer is loaded`,
  },
};
