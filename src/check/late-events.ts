import { catalogue, Source, type SourceName } from '../decode/catalogue.js';

/** Of a CPU or a thread, what a source's records come with. */
interface Company {
  /** The other source: some record of it comes between. */
  readonly with: SourceName;
  readonly of: 'cpu' | 'thread';
  /** Most records in a row: a vcpu's contexts, nested interrupts. */
  readonly most: number;
}

/**
 * Records that no kernel makes in a row without one of another source between. Probes are not among them: a function may
 * have several, and one at its return.
 */
const company: Partial<Record<SourceName, Company>> = {
  kvm_entry: { with: 'kvm_exit', of: 'thread', most: 1 },
  kvm_exit: { with: 'kvm_entry', of: 'thread', most: 1 },
  kvm_wfx_arm64: { with: 'kvm_exit', of: 'thread', most: 1 },
  kvm_sys_access: { with: 'kvm_exit', of: 'thread', most: 2 },
  kvm_timer_restore_state: { with: 'kvm_timer_save_state', of: 'thread', most: 4 },
  kvm_timer_save_state: { with: 'kvm_timer_restore_state', of: 'thread', most: 4 },
  irq_handler_entry: { with: 'irq_handler_exit', of: 'cpu', most: 2 },
  irq_handler_exit: { with: 'irq_handler_entry', of: 'cpu', most: 2 },
  hrtimer_expire_entry: { with: 'hrtimer_expire_exit', of: 'cpu', most: 2 },
  hrtimer_expire_exit: { with: 'hrtimer_expire_entry', of: 'cpu', most: 2 },
};

/** By source; undefined for those that may come alone. */
const companies = catalogue.events.map(({ name }) => company[name as SourceName]);

/** Most threads or CPUs of which a source's records are counted. */
const mostCounted = 4096;

/**
 * Notices events that were switched on while the trace was running. Whoever enables them one by one with tracing_on set
 * gets some milliseconds with exits and no entries between them, and the like. That one was off is certain where others
 * were recorded in a row that never come so, or a CPU's thread changed without a switch. In such a trace every event
 * that appears later may have been off until then.
 */
export class LateEvents {
  /** By source: 0 for those whose records need no look. */
  readonly looks: Uint8Array = Uint8Array.from(catalogue.events, ({ once }, source) =>
    companies[source] === undefined && once === true ? 0 : 1,
  );
  readonly #seen = new Uint8Array(catalogue.events.length);
  /** By source: 1 if it has happened without a record. */
  readonly #missed = new Uint8Array(catalogue.events.length);
  /** By source: number of records in a row, by thread or CPU. */
  readonly #rows = new Map<number, Map<number, number>>();
  /** One has been switched on late. */
  #found = false;

  /** A record of a source that needs a look. @returns whether it is the first one, and the source was off until now, or may have been */
  record(source: number, cpu: number, pid: number): boolean {
    const isFirst = this.#seen[source] === 0;
    this.#seen[source] = 1;
    const around = companies[source];
    if (around === undefined || this.#seen[Source[around.with]] === 1) this.#rest(source);
    else this.#count(source, around, around.of === 'cpu' ? cpu : pid);
    if (isFirst && this.#missed[source] === 1) this.#found = true;
    return isFirst && this.#found;
  }

  /** There is nothing more to learn from a source's records. */
  #rest(source: number): void {
    this.looks[source] = 0;
    this.#rows.delete(source);
  }

  #count(source: number, { with: other, most }: Company, key: number): void {
    let row = this.#rows.get(source);
    if (row === undefined) {
      row = new Map();
      this.#rows.set(source, row);
    }
    const count = (row.get(key) ?? 0) + 1;
    if (count > most) {
      this.#missed[Source[other]] = 1;
      this.#rest(source);
    } else if (count > 1 || row.size < mostCounted) row.set(key, count);
  }

  /** A CPU's thread is another one than that of its last record, which had been recorded since it came. */
  switched(): void {
    this.#missed[Source.sched_switch] = 1;
  }

  /** Records were lost: what came last is not known. */
  lost(): void {
    this.#rows.clear();
  }
}
