import type { RuleSummary, TraceSummary } from '../../check/facts.js';
import type { TextStyle } from './finding.js';
import { align, paragraph } from './layout.js';

const undecidedWords = {
  undecided: 'never decided',
  'not-exercised': 'not exercised',
  'not-applicable': 'not applicable',
  off: 'switched off',
} as const;

type Entry = readonly [id: string, rule: RuleSummary];

function vcpuCoverage(rule: RuleSummary, trace: TraceSummary): string[] {
  return rule.byVcpu.flatMap((counts, index) => {
    const vcpu = trace.vcpus[index];
    if (vcpu === undefined || counts.held + counts.violated + counts.undecided === 0) return [];
    const name = `vcpu ${vcpu.id < 0 ? '?' : vcpu.id} of VM ${vcpu.vm}`;
    return [`      ${name}: held ${counts.held}, violated ${counts.violated}, undecided ${counts.undecided}`];
  });
}

function detail(rule: RuleSummary, trace: TraceSummary, { theme, width }: TextStyle): string[] {
  const reasons = Object.entries(rule.reasons).flatMap(([reason, count]) =>
    paragraph(reason, width, '        ', `      undecided ${count}: `),
  );
  return [...reasons, ...vcpuCoverage(rule, trace)].map(theme.dim);
}

function decisionTable(entries: readonly Entry[], trace: TraceSummary, style: TextStyle): string[] {
  const { theme, verbose } = style;
  const rows = entries.map(([id, rule]) => [`  ${id}`, rule.held, rule.violated, rule.undecided] as const);
  const head = ['rules', '   held', 'violated', 'undecided'] as const;
  const [title, ...lines] = align([head, ...rows]).map((cells) => cells.join('  '));
  return [
    theme.bold(title!),
    ...lines.flatMap((line, index) => {
      const [, rule] = entries[index]!;
      const shown = rule.status === 'violated' && rule.severity !== 'off' ? theme.severity[rule.severity](line) : line;
      return verbose ? [shown, ...detail(rule, trace, style)] : [shown];
    }),
  ];
}

/** Rules with the same fate for the same reason share a line. */
function neverDecided(entries: readonly Entry[], { theme, width }: TextStyle): string[] {
  if (entries.length === 0) return [];
  const groups = new Map<string, string[]>();
  for (const [id, rule] of entries) {
    const words = undecidedWords[rule.status as keyof typeof undecidedWords];
    const reason = rule.reason === undefined ? words : `${words}: ${rule.reason}`;
    groups.set(reason, [...(groups.get(reason) ?? []), id]);
  }
  return [
    theme.bold('rules without a decision'),
    ...[...groups].flatMap(([reason, ids]) => [
      ...paragraph(reason, width, '  ').map(theme.dim),
      ...paragraph(ids.join(', '), width, '    '),
    ]),
  ];
}

/** How often each rule was decided, and why some were not. */
export function coverageLines(trace: TraceSummary, style: TextStyle): string[] {
  const entries = Object.entries(trace.rules);
  const exercised = entries.filter(([, rule]) => rule.held + rule.violated + rule.undecided > 0);
  const open = entries.filter(([, rule]) => rule.status !== 'held' && rule.status !== 'violated');
  const table =
    exercised.length > 0
      ? decisionTable(exercised, trace, style)
      : [`${style.theme.bold('rules')}  none was exercised by this trace`];
  const rest = neverDecided(open, style);
  return rest.length > 0 ? [...table, '', ...rest] : table;
}
