import { type Claim, type ClaimStatus, claimTexts } from '../../../diff/models/claims.js';
import type { TextStyle } from '../finding.js';
import { paragraph } from '../layout.js';

/** How a status is told. */
export const claimWords: Readonly<Record<ClaimStatus, string>> = {
  holds: 'holds',
  'held-before': 'held before',
  fails: 'FAILS',
  'not-claimed': 'not claimed',
  undecided: 'undecided',
};

/** What the RFC's message promises of its design, with the figures. */
export function claimLines(title: string, claims: readonly Claim[], { theme, width }: TextStyle): string[] {
  const paint = ({ status }: Claim) =>
    status === 'holds' ? theme.verdict.clean : status === 'fails' ? theme.verdict.violations : theme.dim;
  return [
    theme.bold(title),
    ...claims.flatMap((claim) => {
      const word = claimWords[claim.status].padEnd(11);
      const { first, second, per } = claim;
      const text = `${claimTexts[claim.id]}: ${first.count} of ${first.of} -> ${second.count} of ${second.of} ${per}`;
      const [head = '', ...rest] = paragraph(text, width, ' '.repeat(15), `  ${word}  `);
      return [head.replace(word, paint(claim)(word)), ...rest];
    }),
  ];
}
