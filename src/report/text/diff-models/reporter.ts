import type { ModelsDiff, ModelsDiffFact } from '../../../diff/models/facts.js';
import { claimsByHost, type HostTotals } from '../../../diff/models/totals.js';
import type { Output } from '../../output.js';
import { counted } from '../../place.js';
import { printableFact } from '../../printable.js';
import type { Reporter } from '../../reporter.js';
import type { TextStyle } from '../finding.js';
import { failureLines } from '../run.js';
import type { Theme } from '../theme.js';
import { claimLines } from './claims.js';
import { modelsDiffLines } from './trace.js';

const hostWords = { vhe: 'VHE', nvhe: 'non-VHE' } as const;

/** Two designs on the guests of recordings, for people; of several recordings the claims over all of them come last. */
export function modelsDiffTextReporter(output: Output, theme: Theme): Reporter<ModelsDiffFact> {
  const style: TextStyle = { theme, width: Math.min(output.columns, 100), verbose: false };
  const write = (lines: readonly string[]) => output.write(lines.map((line) => `${line}\n`).join(''));
  const diffs: ModelsDiff[] = [];
  return {
    async fact(fact) {
      if (fact.type === 'trace-failed') await write(failureLines(printableFact(fact.failure), style));
      if (fact.type === 'trace-end') {
        const { summary, diff } = fact;
        if (diffs.length > 0) await write(['']);
        diffs.push(diff);
        await write(modelsDiffLines(printableFact({ ...summary }), diff, style));
      }
      if (fact.type !== 'run-end' || diffs.length < 2) return;
      const title = ({ host, traces }: HostTotals) => `all ${counted(traces, 'recording')} on ${hostWords[host]} hosts`;
      for (const totals of claimsByHost(diffs)) await write(['', ...claimLines(title(totals), totals.claims, style)]);
    },
    end() {},
  };
}
