import { describe, expect, test } from 'vitest';
import { checkText, type Line, lines, missing, report, stock, textOf, told } from './recordings.js';

// A user enables what he likes. What is not recorded has not been seen, which is not the same as not having happened:
// no subset of the events of a stock kernel may be reported as a violation.

const isKvm = (event: string) => event.startsWith('kvm_') || event.startsWith('vgic_');
const isProbe = (event: string) => !isKvm(event) && !/^(?:sched|hrtimer|irq_handler)_/.test(event);

/** What users typically record, by the events that remain. */
const recorded: Record<string, (event: string) => boolean> = {
  'the kvm events': isKvm,
  'kvm and sched': (event) => isKvm(event) || event.startsWith('sched_'),
  'kvm and irq': (event) => isKvm(event) || event.startsWith('irq_'),
  'kvm and hrtimer': (event) => isKvm(event) || event.startsWith('hrtimer_'),
  'kvm, irq and hrtimer': (event) => isKvm(event) || /^(?:irq|hrtimer)_/.test(event),
  'every tracepoint': (event) => !isProbe(event),
  'the probes': isProbe,
  'entries and exits': (event) => /^kvm_(?:entry|exit)$/.test(event),
  'entries, exits and switches': (event) => /^(?:kvm_entry|kvm_exit|sched_switch)$/.test(event),
  'entries, exits and interrupts': (event) => /^(?:kvm_entry|kvm_exit|irq_handler_.*)$/.test(event),
  'entries and hrtimers': (event) => /^(?:kvm_entry|hrtimer_.*)$/.test(event),
  'the timer tracepoints': (event) => /^kvm_(?:timer_|get_timer_map)/.test(event),
  'the timer tracepoints and irq': (event) => /^(?:kvm_timer_|kvm_get_timer_map|irq_)/.test(event),
  'the timer tracepoints and hrtimer': (event) => /^(?:kvm_timer_|kvm_get_timer_map|hrtimer_)/.test(event),
  'the timer tracepoints and sched': (event) => /^(?:kvm_timer_|kvm_get_timer_map|sched_)/.test(event),
  'the timer tracepoints and vgic': (event) => /^(?:kvm_timer_|kvm_get_timer_map|vgic_)/.test(event),
  'saves and restores': (event) => /^kvm_timer_(?:save|restore)_state$/.test(event),
  'reports and injections': (event) => /^(?:kvm_timer_update_irq|vgic_update_irq_pending)$/.test(event),
  'all but saves and restores': (event) => !/_(?:save|restore)_state$/.test(event),
  'all but saves, restores and switches': (event) => !/^sched_|_(?:save|restore)_state$/.test(event),
  'all but saves and switches': (event) => !/^sched_|_save_state$/.test(event),
  'all but restores and switches': (event) => !/^sched_|_restore_state$/.test(event),
  'all but entries and exits': (event) => !/^kvm_(?:entry|exit)$/.test(event),
  'all but switches and userspace exits': (event) => !/^(?:sched_|kvm_userspace_exit)/.test(event),
  'all but interrupts': (event) => !event.startsWith('irq_handler_'),
  'all but hrtimers': (event) => !event.startsWith('hrtimer_'),
};

/** The probes of the recordings, by the name that they have there. */
const probes = [
  ...['vcpu_load', 'vcpu_put', 'timer_load', 'timer_put', 'timer_handler', 'arch_vcpu_blocking'],
  ...['timer_schedule', 'timer_unschedule', 'vtimer_save', 'vtimer_restore', 'timer_enable', 'timer_sync'],
];
for (const probe of probes) {
  recorded[`the tracepoints and ${probe}`] = (event) => !isProbe(event) || event === probe;
  recorded[`entries, exits and ${probe}`] = (event) => /^kvm_(?:entry|exit)$/.test(event) || event === probe;
  recorded[`${probe}`] = (event) => event === probe;
}

function kindsOf(all: readonly Line[]): string[] {
  return [...new Set(all.map((line) => line.event))].filter((event) => event !== '').sort();
}

/** The subsets of a recording by what users record, each once: where a probe is not recorded, many are the same. */
function* subsetsOf(all: readonly Line[]): Generator<readonly [title: string, kinds: ReadonlySet<string>]> {
  const kinds = kindsOf(all);
  const done = new Set<string>();
  for (const [title, keeps] of Object.entries(recorded)) {
    const kept = kinds.filter(keeps);
    const key = kept.join();
    if (kept.length === 0 || done.has(key)) continue;
    done.add(key);
    yield [title, new Set(kept)];
  }
}

describe.skipIf(missing !== undefined)(`a subset of the events is no violation (${missing ?? 'recordings'})`, () => {
  for (const name of stock) {
    test(`${name}: without one kind`, async () => {
      const all = lines(report(name, '-N'));
      const alarms: Record<string, string[]> = {};
      for (const kind of kindsOf(all)) {
        const found = told(await checkText(textOf(all.filter((line) => line.event !== kind))));
        if (found.length > 0) alarms[`without ${kind}`] = found;
      }
      expect(alarms).toEqual({});
    });

    test(`${name}: what users record`, async () => {
      const all = lines(report(name, '-N'));
      const alarms: Record<string, string[]> = {};
      for (const [title, kinds] of subsetsOf(all)) {
        const kept = all.filter(({ event }) => event === '' || kinds.has(event));
        const found = told(await checkText(textOf(kept)));
        if (found.length > 0) alarms[title] = found;
      }
      expect(alarms).toEqual({});
    });
  }
});
