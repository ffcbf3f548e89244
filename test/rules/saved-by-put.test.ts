import { describe, expect, test } from 'vitest';
import { check, type TraceSummary } from '../../src/index.js';

// Up to 5.0 a put that clears `loaded` without a save shows only by the record of the save that is missing.

/** What one put does: it saves a deadline that the guest has left, or nothing. */
type Put = 'saves' | 'saves the same' | 'saves, unrecorded' | 'skips';

const header = 'event,vcpu,cpu,timer,loaded,ctl,cval\nenable,0,0\n';

/** A vcpu that is loaded, entered and put, again and again; every put finds the timer loaded, every load does not. */
function trace(puts: readonly Put[]): string {
  let cval = 0x1000;
  let text = header;
  for (const put of puts) {
    const memory = `1,0x${cval.toString(16)}`;
    text += `load,0,0\ntimer_load,0,0,,0,${memory}\nrestore,0,0,vtimer,,${memory}\nentry,0,0\nexit,0,0\nput,0,0\ntimer_put,0,0,,1,${memory}\n`;
    if (put.startsWith('saves') && !put.endsWith('unrecorded')) text += 'save,0,0,vtimer,,,\n';
    if (put === 'saves' || put === 'saves, unrecorded') cval += 0x1000;
  }
  return `${text}load,0,0\ntimer_load,0,0,,0,1,0x${cval.toString(16)}\n`;
}

async function summary(text: string): Promise<TraceSummary> {
  const input = {
    path: 'puts.csv',
    async *open() {
      yield Buffer.from(text);
    },
  };
  for await (const fact of check([input], { model: 'load-put-4.16' }))
    if (fact.type === 'trace-end') return fact.summary;
  throw new Error('no summary');
}

const rule = 'loaded-owns-cntv-ctl';
const times = (count: number, put: Put): Put[] => Array.from({ length: count }, () => put);
/** Line of a put, the header being line 1. */
const lineOf = (puts: readonly Put[], index: number) => trace(puts.slice(0, index)).split('\n').length - 3 + 6;

describe('puts that clear `loaded`', () => {
  test.each<[string, readonly Put[]]>([
    ['all save', times(40, 'saves')],
    ['the guest leaves its timer alone', times(40, 'saves the same')],
    ['the call of the save is inlined', times(40, 'saves, unrecorded')],
    ['a filter lets some saves through', [...times(30, 'saves'), 'saves, unrecorded', ...times(10, 'skips')]],
    ['a probe misses a call', [...times(30, 'saves'), 'skips', ...times(30, 'saves'), 'skips', 'saves']],
    ['too few tell that saves are recorded', [...times(10, 'saves'), ...times(10, 'skips')]],
  ])('%s: no violation', async (_, puts) => {
    const { findings, rules } = await summary(trace(puts));
    expect(findings).toEqual([]);
    expect(rules[rule]!.violated).toBe(0);
  });

  test('some skip it: each from the third on', async () => {
    const puts = [...times(30, 'saves'), ...times(5, 'skips'), ...times(3, 'saves')];
    const { findings } = await summary(trace(puts));
    const [finding] = findings.filter((each) => each.rule === rule);
    expect(finding).toMatchObject({ diagnosis: 'put-without-save', count: 3, position: { line: lineOf(puts, 32) } });
    expect(findings.map((each) => each.rule)).toEqual([rule]);
  });
});
