/**
 * Names in a kernel's records that tell its generation (specification §3.2, §3.4), as a set of bits: the interrupt of
 * the virtual timer, the callbacks of the hrtimers that stand in for it, and how an exit is printed.
 */
export enum TimerName {
  /** The interrupt "kvm guest timer": 5.0 or earlier. */
  guest_timer = 1,
  /** The callback of the one hrtimer up to 4.14. */
  kvm_timer_expire = 2,
  /** The callback of the background timer since 4.15. */
  kvm_bg_timer_expire = 4,
  /** The callback of the emulated physical timer, 4.15 to 5.0. */
  kvm_phys_timer_expire = 8,
  /** The work item by which the background timer wakes the vcpu, up to 4.20. */
  kvm_timer_inject_irq_work = 16,
  /** A trap that kvm_exit prints as its number: 4.19 or earlier. */
  exit_0x2 = 32,
  /** The host's own timer interrupt has a lower number than the guest's: a non-VHE host. */
  arch_timer_below = 64,
  /** It has a higher number: a VHE host, which uses the hypervisor timer. */
  arch_timer_above = 128,
  /** A trap that kvm_exit prints by name: 5.0 or later. (Up to 4.19 that is what an SError prints.) */
  exit_TRAP = 256,
}

/** Those of 5.0 and earlier alone. */
export const oldTimerNames =
  TimerName.guest_timer |
  TimerName.kvm_timer_expire |
  TimerName.kvm_phys_timer_expire |
  TimerName.kvm_timer_inject_irq_work |
  TimerName.exit_0x2;

const names = Object.keys(TimerName).filter((name) => Number.isNaN(Number(name))) as (keyof typeof TimerName)[];

/** A set of names in the fact `timer-names`: names between blanks. */
export const timerNamesPattern = new RegExp(`^(?:${names.join('|')})(?: (?:${names.join('|')}))*$`);

export function formatTimerNames(set: number): string {
  return names.filter((name) => (set & TimerName[name]) !== 0).join(' ');
}

/** @returns undefined when the text is no such list */
export function parseTimerNames(text: string): number | undefined {
  if (!timerNamesPattern.test(text)) return undefined;
  return text.split(' ').reduce((set, name) => set | TimerName[name as keyof typeof TimerName], 0);
}
