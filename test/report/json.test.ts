import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { reportJsonSchema, reportSchema } from '../../src/report/json/schema.js';
import { cleanTrace, facts, finding, trace, vcpu } from './facts.js';
import { replay } from './replay.js';

const failure = { path: 'bad.dat', error: 'not a trace' };

async function parsed(...args: Parameters<typeof facts>): Promise<unknown> {
  return JSON.parse(await replay('json', facts(...args)));
}

describe('the JSON report', () => {
  test.each([
    ['violations', facts([trace()])],
    ['a clean trace', facts([cleanTrace()], [], 0)],
    ['several inputs, one unreadable', facts([trace(), cleanTrace()], [failure], 3)],
    ['nothing read', facts([], [failure], 3)],
    ['a finding of no vcpu', facts([trace({ findings: [finding({ vcpu: null, position: { offset: 4096 } })] })])],
    ['an unknown model', facts([trace({ model: { id: null, candidates: ['a', 'b'], reasons: [] }, kernel: null })])],
    ['a vcpu whose load state is never known', facts([trace({ vcpus: [{ ...vcpu, id: -1, knownSince: null }] })])],
    // A vcpu of the summary is a vcpu's name with more fields: none of them may leak.
    ['a finding with a richer vcpu', facts([trace({ findings: [finding({ vcpu })] })])],
  ])('conforms to its schema, with no key beyond it: %s', async (_, stream) => {
    const report: unknown = JSON.parse(await replay('json', stream));
    // Parsing drops keys that the schema does not know.
    expect(reportSchema.parse(report)).toEqual(report);
  });

  test('names the tool, its version, the schema, the verdict and the exit code', async () => {
    expect(await parsed([trace()])).toMatchObject({
      tool: 'timervet',
      version: '0.0.0',
      schema: 1,
      verdict: 'violations',
      exitCode: 1,
    });
  });

  test('gives model and host as words, their reasons beside them, and times as number and timestamp', async () => {
    expect(await parsed([trace()])).toMatchObject({
      traces: [
        {
          model: 'timer-map',
          modelChoice: { candidates: ['timer-map'] },
          host: 'nvhe',
          duration: 12.3,
          vcpus: [{ knownSince: 177.107077 }],
          rules: { 'reset-clears-timer': { held: 0, status: 'not-exercised', reason: 'needs reset' } },
          findings: [{ time: 177.11972, timestamp: '177.119720000', position: { line: 23 }, count: 1 }],
        },
      ],
    });
  });

  test('lists inputs that could not be read', async () => {
    expect(await parsed([], [failure], 3)).toMatchObject({ exitCode: 3, failures: [failure] });
  });

  test('is not written for a run that was cut short', async () => {
    expect(await replay('json', facts([trace()]).slice(0, -1))).toBe('');
  });

  test('has a JSON Schema in schemas/ that is in step with the code', () => {
    const file = new URL('../../schemas/report.schema.json', import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(reportJsonSchema());
  });
});
