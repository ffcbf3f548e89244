/** The README's table of what the RFC's message promises, from recordings of the corpus. */
import { type ClaimId, type ClaimStatus, claimTexts, type Figure } from '../diff/models/claims.js';
import type { ModelsDiff } from '../diff/models/facts.js';
import { claimsByHost, type HostTotals } from '../diff/models/totals.js';
import { diffModels, fileInput, type ModelId } from '../index.js';

/** Recordings of both kinds of host, of old kernels and of newer ones. */
export const claimRecordings = [
  '4.9-nvhe/kp-overcommit.txt.gz',
  '6.1-nvhe/overcommit.txt.gz',
  '4.15-vhe/busy.txt.gz',
  '6.1-vhe/overcommit.txt.gz',
] as const;

/** What is compared with the world switch: the RFC, and what was merged. */
export const claimModels: readonly ModelId[] = ['rfc-load-put', 'load-put-4.15', 'load-put-4.16'];

const hostWords = { nvhe: 'non-VHE', vhe: 'VHE' } as const;

/** How a status reads behind the figure. */
const statusWords: Readonly<Record<ClaimStatus, string>> = {
  holds: 'holds',
  'held-before': 'as before',
  fails: '**fails**',
  'not-claimed': 'not claimed',
  undecided: 'undecided',
};

/** @param corpus folder of the recordings */
async function totalsOf(corpus: string, model: ModelId): Promise<readonly HostTotals[]> {
  const diffs: ModelsDiff[] = [];
  const inputs = claimRecordings.map((path) => fileInput(`${corpus}/${path}`));
  for await (const fact of diffModels(inputs, ['world-switch', model])) {
    if (fact.type === 'trace-failed') throw new Error(`${fact.path}: ${fact.failure.error}`);
    if (fact.type === 'trace-end') diffs.push(fact.diff);
  }
  return claimsByHost(diffs);
}

const figure = ({ count, of }: Figure): string => `${count} of ${of}`;

/** Head and rows: of each promise and kind of host the figure of the world switch, and that of each later design. */
export async function claimTable(corpus: string): Promise<{ head: string[]; rows: string[][] }> {
  const totals = await Promise.all(claimModels.map((model) => totalsOf(corpus, model)));
  const rows = (Object.keys(claimTexts) as ClaimId[]).flatMap((id) =>
    (['nvhe', 'vhe'] as const).map((host) => {
      const own = totals.map((each) => each.find((one) => one.host === host)?.claims.find((claim) => claim.id === id));
      const [any] = own;
      if (any === undefined) throw new Error(`no recording of a ${hostWords[host]} host`);
      const cells = own.map((claim) => `${figure(claim!.second)}, ${statusWords[claim!.status]}`);
      return [claimTexts[id], hostWords[host], any.per, figure(any.first), ...cells];
    }),
  );
  return { head: ['promise', 'host', 'counted', '`world-switch`', ...claimModels.map((id) => `\`${id}\``)], rows };
}
