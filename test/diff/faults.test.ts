import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Diff, diff, type Input } from '../../src/index.js';
import { faults } from '../faults/faults.js';
import { Edit, type Line, parseLine } from '../faults/inject.js';
import { Recording } from '../faults/structure.js';

const names = ['6.1-vhe/tickwfi', '4.14-nvhe/kp-mixed', '6.1-nvhe/overcommit'];

/** Enough for every fault, and read in no time. */
const excerpt = 5000;

const recordings = names.map((name) => {
  const text = gunzipSync(readFileSync(`traces/recordings/${name}.txt.gz`)).toString();
  return new Recording(name, text.trimEnd().split('\n').slice(0, excerpt).map(parseLine));
});

function input(path: string, lines: readonly Line[]): Input {
  const bytes = new TextEncoder().encode(`${lines.map(({ text }) => text).join('\n')}\n`);
  return {
    path,
    async *open() {
      yield bytes;
    },
  };
}

async function diffOf(old: readonly Line[], next: readonly Line[]): Promise<Diff> {
  for await (const fact of diff(input('as it was', old), input('with a fault', next)))
    if (fact.type === 'diff') return fact.diff!;
  throw new Error('no diff');
}

/** Lines, at most, that the piece of path begins before the fault in it: it may have slept meanwhile. */
const longestSleep = 2000;
/** Lines, at most, to the vcpu's next piece, where the fault took a piece's beginning away. */
const longestPiece = 250;

let tried = 0;
let shown = 0;

describe.each(recordings.map((recording) => [recording.name, recording] as const))(
  '%s against itself with',
  (_, recording) => {
    const able = faults.flatMap((fault) => {
      const behind = fault.sites(recording).filter(({ place }) => {
        const at = recording.at(place);
        return fault.anywhere === true || (at > recording.lines.length / 10 && at < recording.wholeUntil - 120);
      });
      const site = behind[Math.floor(behind.length / 2)];
      return site === undefined ? [] : [[fault.id, fault, site] as const];
    });

    it.each(able)('%s: the new finding, and only what follows from it', async (_, fault, site) => {
      const edit = new Edit(recording.lines);
      const place = site.inject(edit);
      const [from, to] = Array.isArray(place) ? (place as readonly [Line, Line]) : [place as Line, place as Line];
      const lines = edit.apply();
      const { findings, behaviour, divergence, verdict } = await diffOf(recording.lines, lines);

      const fresh = findings.new.map(({ finding }) => finding.rule);
      if (fault.rules.length > 0) expect(fault.rules.filter((rule) => fresh.includes(rule))).not.toEqual([]);
      else expect(findings.new.filter(({ fails }) => fails)).toEqual([]);
      expect(new Set(fresh).size).toBeLessThanOrEqual(fault.limit?.rules ?? 2);
      expect(findings.gone).toEqual([]);
      expect(verdict === 'failed').toBe(findings.new.some(({ fails }) => fails));

      // What goes on for long is a change of behaviour as well, what happens once is not.
      const { rates, placements, paths, sequences } = behaviour;
      if (fault.limit?.count === undefined) expect([rates, placements, paths, sequences]).toEqual([[], [], [], []]);

      // Without the only interrupt's end nothing tells that such ends are recorded.
      const { aligned, oneRecording, leftOut } = divergence.alignment;
      expect([aligned, oneRecording]).toEqual([true, leftOut.length === 0]);
      const line = divergence.first?.new.position.line;
      if (fault.rules.length > 0) tried++;
      if (line === undefined) return;
      if (fault.rules.length > 0) shown++;
      expect(line).toBeLessThan(lines.indexOf(to) + longestPiece);
      expect(line).toBeGreaterThan(lines.indexOf(from) - longestSleep);
    });
  },
);

it('shows most of them as the first divergence', () => {
  // The others change no path and no value of one: times, identities, what the host does beside.
  expect(shown / tried).toBeGreaterThan(0.6);
});
