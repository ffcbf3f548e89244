import type { TraceSummary } from '../../../check/facts.js';
import type { Diff } from '../../../diff/facts.js';
import { counted, pathName } from '../../place.js';
import type { TextStyle } from '../finding.js';
import { paragraph } from '../layout.js';
import type { Theme } from '../theme.js';

/** How a verdict of a diff looks: `failed` as violations do. */
function paintOf({ verdict }: Diff, theme: Theme): (text: string) => string {
  if (verdict === 'failed') return theme.verdict.violations;
  if (verdict === 'inconclusive') return theme.verdict.inconclusive;
  return verdict === 'same' ? theme.verdict.clean : theme.bold;
}

function sideLines(name: string, trace: TraceSummary, { theme, width }: TextStyle): string[] {
  const model = trace.model.id ?? `one of ${trace.model.candidates.join(', ')}`;
  const facts = [
    trace.kernel === null ? 'kernel not named' : `kernel ${trace.kernel}`,
    `model ${model}`,
    `host ${trace.host.id ?? 'not known'}`,
    counted(trace.vcpus.length, 'vcpu'),
    counted(trace.timerEvents, 'timer event'),
    `${trace.duration} s`,
    trace.verdict,
  ];
  return [
    `  ${theme.bold(name)}  ${pathName(trace.path)}`,
    ...paragraph(facts.join(', '), width, '       ').map(theme.dim),
  ];
}

/** The verdict, why, and what was compared. */
export function headLines(diff: Diff, style: TextStyle): string[] {
  const nothing = 'nothing differs beyond noise';
  const because = diff.verdict === 'same' ? [nothing] : diff.because;
  const [first = nothing, ...rest] = because;
  const start = `${diff.verdict}  `;
  const lines = paragraph(first, style.width, ' '.repeat(start.length), start);
  return [
    lines[0]!.replace(diff.verdict, paintOf(diff, style.theme)),
    ...lines.slice(1),
    ...rest.flatMap((reason) => paragraph(reason, style.width, ' '.repeat(start.length))),
    ...sideLines('old', diff.old, style),
    ...sideLines('new', diff.new, style),
  ];
}
