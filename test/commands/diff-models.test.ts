import { describe, expect, it } from 'vitest';
import { modelsDiffSchema } from '../../src/report/json/diff-models/schema.js';
import { timervet } from '../package/timervet.js';

const old = 'traces/recordings/4.9-nvhe/kp-overcommit.txt.gz';
const vhe = 'traces/recordings/4.15-vhe/busy.txt.gz';
const lossy = 'traces/recordings/6.1-nvhe/lost-trace_pipe.txt.gz';

async function diffJson(...args: string[]) {
  const { code, stdout, stderr } = await timervet(['diff', '--format', 'json', ...args]);
  return { code, stderr, document: modelsDiffSchema.parse(JSON.parse(stdout)) };
}

describe('timervet diff --models', () => {
  it('tells claims, hazards, signals, operations, where they part, and what was assumed, within 100 columns', async () => {
    const { code, stdout, stderr } = await timervet(['diff', '--models', 'world-switch,rfc-load-put', old]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const parts = [
      `world-switch -> rfc-load-put  ${old}`,
      'what the RFC promised',
      'hazards  0 of world-switch only, 4 of rfc-load-put only, 0 of both',
      'interrupts and levels ',
      'operations ',
      'first difference that the guest sees  ',
      'first difference of interrupts and levels  ',
      'assumptions',
    ];
    const places = parts.map((part) => stdout.indexOf(part));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(stdout).toMatch(/^ {2}holds {8}no CNTVOFF write on every entry and exit: (\d+) of \1 -> 0 of \1 entries/m);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('adds up the claims of several recordings, by kind of host', async () => {
    const { code, stdout } = await timervet(['diff', '--models', 'world-switch,load-put-4.16', old, vhe, vhe]);
    expect(code).toBe(0);
    expect(stdout).toContain('\nall 1 recording on non-VHE hosts\n');
    expect(stdout).toContain('\nall 2 recordings on VHE hosts\n');
    const { document } = await diffJson('--models', 'world-switch,load-put-4.16', old, vhe, vhe);
    expect(document.traces.map(({ host, hostFrom }) => [host, hostFrom])).toEqual([
      ['nvhe', 'assumed'],
      ['vhe', 'trace'],
      ['vhe', 'trace'],
    ]);
    const [, one] = document.traces;
    const totals = document.totals.find(({ host }) => host === 'vhe')!;
    expect(totals.claims.map(({ first }) => first.of)).toEqual(one!.claims.map(({ first }) => 2 * first.of));
  });

  it('runs both designs on the host that is asked for', async () => {
    const { document } = await diffJson('--models', 'rfc-load-put,rfc-load-put', '--host', 'vhe', old);
    const [trace] = document.traces;
    expect(trace).toMatchObject({ host: 'vhe', hostFrom: 'given', model: 'world-switch' });
    // No HVC on VHE, and the traps of the RFC are dead code there (W14).
    expect(trace!.first.operations.load).not.toHaveProperty('hypercall');
    expect(trace!.first.operations.entry).not.toHaveProperty('cnthctl_update');
    expect(trace!.first).toEqual(trace!.second);
  });

  it('says of a recording with losses that they are left out', async () => {
    const { code, document } = await diffJson('--models', 'timer-map,offset', lossy);
    expect(code).toBe(0);
    expect(document.traces[0]!.assumed['records-lost']).toBeGreaterThan(0);
  });

  it.each([
    [['--models', 'world-switch', old], 'Expected two models'],
    [['--models', 'world-switch,no-such', old], "There is no model 'no-such'"],
    [['--host', 'vhe', old, old], '--host goes with --models'],
    [[old], 'expected two recordings, found 1'],
    [[old, old, old], 'expected two recordings, found 3'],
  ])('refuses %j', async (args, message) => {
    const { code, stdout, stderr } = await timervet(['diff', ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('goes on after a recording that cannot be read', async () => {
    const { code, document } = await diffJson('--models', 'world-switch,rfc-load-put', 'no-such-file', old);
    expect(code).toBe(3);
    expect(document.failures).toHaveLength(1);
    expect(document.traces).toHaveLength(1);
  });
});
