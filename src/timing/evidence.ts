/** What a constraint is taken from. */
export enum Evidence {
  /** The background timer was armed for a known deadline: an equality. */
  armed,
  /** Its callback ran and did not arm it again. */
  fired,
  /** kvm_timer_update_irq reported level 1 for a known deadline. */
  raised,
  /** A load reported level 0 for a timer that can fire. */
  lowered,
  /** A save found ISTATUS set. */
  savedExpired,
  /** A save found an enabled timer with ISTATUS clear. */
  savedPending,
  /** kvm_timer_update_state of 4.14 or older found the timer expired. */
  foundExpired,
  /** The same found a timer that can fire not expired. */
  foundPending,
}

/** Name of a kind of evidence. */
export type EvidenceName = keyof typeof Evidence;

/** Their names, by number. */
export const evidenceNames = [
  'armed',
  'fired',
  'raised',
  'lowered',
  'savedExpired',
  'savedPending',
  'foundExpired',
  'foundPending',
] as const;
