import type { Diff, LoneFinding } from '../../../diff/facts.js';
import { counted } from '../../place.js';
import { findingLines, type TextStyle } from '../finding.js';
import { paragraph } from '../layout.js';

/** What is to be known of a rule that decided nothing in the other recording. */
function doubt({ decidedInOther }: LoneFinding, other: 'old' | 'new'): string {
  return decidedInOther ? '' : `; its rule decided nothing in the ${other} recording`;
}

/** New findings whole, with their proof; the others in a line each. */
export function findingsLines({ findings, new: next }: Diff, style: TextStyle): string[] {
  const { theme, width } = style;
  const line = (text: string) => paragraph(text, width, '    ', '  ');
  const gone = findings.gone.flatMap((lone) => {
    const { rule, diagnosis, severity, count, fingerprint } = lone.finding;
    return line(
      `gone  ${severity}  ${rule}/${diagnosis}  ${counted(count, 'time')}  ${fingerprint}${doubt(lone, 'new')}`,
    );
  });
  const both = findings.both.flatMap(({ old, new: now, otherChain }) => {
    const chain = otherChain ? ', proven by another chain of events' : '';
    const { rule, diagnosis, severity, count, fingerprint } = now;
    return line(`both  ${severity}  ${rule}/${diagnosis}  ${old.count} -> ${count} times  ${fingerprint}${chain}`);
  });
  const title = `findings  ${findings.new.length} new, ${findings.gone.length} gone, ${findings.both.length} in both`;
  return [
    theme.bold(title),
    ...findings.new.flatMap((lone) => {
      const remark = doubt(lone, 'old');
      return ['', ...findingLines(lone.finding, next.path, style), ...(remark === '' ? [] : line(`new${remark}`))];
    }),
    ...(findings.new.length > 0 && gone.length + both.length > 0 ? [''] : []),
    ...gone,
    ...both,
  ];
}
