import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Finding, TraceSummary } from '../../src/check/facts.js';
import { check } from '../../src/index.js';
import { present, recordings, textOf, traceCmd } from './reports.js';

/**
 * A kernel with the RFC patch has the bugs of that patch and no other: what is found in each recording, and how often,
 * as counted with regular expressions over the report of trace-cmd or by hand. W5 and W10 show once a vcpu.
 */
interface Bugs {
  /** W1: puts that clear the forwarded flag while another vcpu is loaded, and the calls of the handler too many. */
  readonly cleared: number;
  readonly storms: number;
  readonly repeated: number;
  /** Most interrupts of one storm. */
  readonly longest: number;
  /** Vcpus. */
  readonly vcpus: number;
  /** W3, W4. */
  readonly clobbered?: number;
  readonly lost?: number;
  /** Loads of a vcpu with another offset than its VM's other loaded vcpu has: userspace set the counter meanwhile (W13). */
  readonly apart?: number;
}

const bugs: Readonly<Record<string, Bugs>> = {
  'rfc-nvhe-busy.dat': { cleared: 212, storms: 7, repeated: 339, longest: 189, vcpus: 2 },
  'rfc-nvhe-cntvoff.dat': { cleared: 113, storms: 3, repeated: 27151, longest: 12738, vcpus: 2, lost: 48, apart: 70 },
  'rfc-nvhe-mixed.dat': { cleared: 1063, storms: 39, repeated: 31207, longest: 3556, vcpus: 4 },
  'rfc-nvhe-spur-busy.dat': { cleared: 476, storms: 2, repeated: 767, longest: 517, vcpus: 2, clobbered: 2 },
  'rfc-nvhe-tickwfi.dat': { cleared: 45, storms: 3, repeated: 2842, longest: 1490, vcpus: 2 },
  'rfc-vhe-tickwfi.dat': { cleared: 20, storms: 3, repeated: 1252, longest: 880, vcpus: 2 },
  'rfct-nvhe-tickwfi.dat': { cleared: 12, storms: 1, repeated: 467, longest: 467, vcpus: 2 },
};
const files = recordings(/^rfct?-.*\.dat$/);

async function checked(file: string, text = readFileSync(textOf(file))): Promise<TraceSummary> {
  let summary: TraceSummary | undefined;
  const input = {
    path: file,
    async *open() {
      yield text;
    },
  };
  for await (const fact of check([input])) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') summary = fact.summary;
  }
  return summary!;
}

const times = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;

/** By message: how often it was found. */
function counts(findings: readonly Finding[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { rule, diagnosis, count } of findings) {
    const name = `${rule}/${diagnosis}`;
    sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

const storm = ({ findings }: TraceSummary) =>
  findings.find(({ rule, diagnosis }) => rule === 'irq-not-repeated-while-level-high' && diagnosis === 'storm');

describe.skipIf(!traceCmd)('the kernel with the RFC patch', () => {
  it('has a row for every recording', ({ skip }) => {
    skip(!present, 'no recordings');
    expect(Object.keys(bugs).sort()).toEqual(files);
  });

  it.each(files)('%s: exactly the bugs of the patch', async (file) => {
    const text = readFileSync(textOf(file), 'latin1');
    const { cleared, repeated, vcpus, clobbered = 0, lost = 0, apart = 0 } = bugs[file]!;
    const summary = await checked(file);
    expect({ model: summary.model.id, host: summary.host.id }).toEqual({
      model: 'rfc-load-put',
      host: file.includes('-vhe-') ? 'vhe' : 'nvhe',
    });
    const expected = {
      'affinity-forwarded-while-any-loaded/cleared': cleared,
      'irq-not-repeated-while-level-high/storm': repeated,
      'irq-only-when-loaded/no-vcpu': times(text, /timer_handler:.* vcpu=0x0 /g),
      'restore-equals-last-save/ctl-clobbered-by-irq': clobbered,
      'user-write-survives/lost': lost,
      'first-entry-restores-user-state/not-restored': vcpus,
      // The handler that has read CTL without ISTATUS, and asserts.
      'level-true-only-if-expired/read-unexpired': times(text, /update_irq:.* level=1 ctx=\S+ ctl=0x1 /g),
      'disabled-vcpu-silent/noise': vcpus,
      'cntvoff-uniform-while-loaded/differs': apart,
    };
    const found = Object.fromEntries(Object.entries(expected).filter(([, count]) => count > 0));
    expect(counts(summary.findings)).toEqual(found);
    const infos = summary.findings.filter(({ severity }) => severity === 'info').map(({ rule }) => rule);
    expect(infos.sort()).toEqual([...(apart > 0 ? ['cntvoff-uniform-while-loaded'] : []), 'disabled-vcpu-silent']);
  });

  it.each(files)('%s: each storm with its beginning, cause and end', async (file) => {
    const summary = await checked(file);
    const { storms, repeated, longest } = bugs[file]!;
    const { count, episodes, occurrences } = storm(summary)!;
    expect({ storms: episodes!.count, repeated: count, longest: episodes!.longest.count }).toEqual({
      storms,
      repeated,
      longest,
    });
    expect(occurrences.reduce((sum, one) => sum + one.count!, 0)).toBe(count);
    for (const one of [episodes!.first, episodes!.longest]) {
      expect(one.cause).toMatchObject({ event: 'set_affinity', text: expect.stringContaining('vcpu=NULL') });
      expect(one.cause!.cpu).not.toBe(one.cpu);
      expect(one.ended).toMatch(/^the load of vcpu \d on CPU \d set the forwarded flag again$/);
      expect(one.end).toMatchObject({ event: 'set_affinity', text: expect.stringContaining('vcpu=set') });
    }
  });

  it.skipIf(!present).each([
    ['rfc-nvhe-tickwfi.dat', 'rfc-load-put', 2],
    ['rfc-nvhe-cntvoff.dat', 'rfc-load-put', 3],
    ['rfc-nvhe-busy.dat', null, 5],
  ] as const)('%s without its probes and its release: model %s, and the storms', async (file, model, storms) => {
    const text = readFileSync(textOf(file), 'latin1');
    const tracepoints = text
      // A probe's line begins with the address that it stands at.
      .replace(/^.*: +\([0-9a-f]{16}\) .*\n/gm, '')
      // The kernel's own text names the callback, for which trace-cmd has no format here.
      .replace(/\[FAILED TO PARSE\] (.*) function=0xffffff80080b5fe0/g, '$1 function=kvm_timer_expire');
    expect(times(tracepoints, /timer_handler:/g)).toBe(0);
    const summary = await checked(file, Buffer.from(tracepoints, 'latin1'));
    expect(summary.model.id).toBe(model);
    if (model === null) expect(summary.model.candidates).toContain('rfc-load-put');
    expect(Object.keys(counts(summary.findings))).toEqual(['irq-not-repeated-while-level-high/storm']);
    expect(storm(summary)!.episodes!.count).toBeGreaterThanOrEqual(storms);
    expect(storm(summary)!.count).toBeGreaterThan(0.95 * bugs[file]!.repeated);
  });
});

describe.skipIf(!present)("the RFC kernel's console", () => {
  it('shows the interrupt without a vcpu that ended it', async () => {
    const { findings, host } = await checked('console/rfc-oops.log');
    expect(counts(findings)).toEqual({ 'irq-only-when-loaded/no-vcpu': 1 });
    expect(host.id).toBe('nvhe');
  });

  it('shows the storms under way when it was asked, on both CPUs', async () => {
    const summary = await checked('console/rfc-sysrq-z.log');
    expect(counts(summary.findings)).toEqual({ 'irq-not-repeated-while-level-high/storm': 366 });
    const { occurrences } = storm(summary)!;
    expect(new Set(occurrences.map(({ cpu }) => cpu))).toEqual(new Set([0, 1]));
  });
});
