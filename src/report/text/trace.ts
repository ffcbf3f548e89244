import type { ConditionSummary, Finding, TraceSummary, VcpuSummary } from '../../check/facts.js';
import { severities } from '../../rules/rule.js';
import { counted, pathName, positionWords, threadWords } from '../place.js';
import { coverageLines } from './coverage.js';
import { findingLines, type TextStyle } from './finding.js';
import { align, labelled, paragraph } from './layout.js';
import { timingLines } from './timing.js';

function findingTotals(trace: TraceSummary): string {
  if (trace.findings.length === 0) return 'none';
  const total = trace.findings.reduce((sum, finding) => sum + finding.count, 0);
  const bySeverity = [...severities].reverse().flatMap((severity) => {
    const count = trace.findings.filter((finding) => finding.severity === severity).length;
    return count > 0 ? [`${count} ${severity}`] : [];
  });
  const omitted = trace.findingsOmitted > 0 ? `, and ${trace.findingsOmitted} more beyond --max-findings` : '';
  return `${trace.findings.length} distinct (${bySeverity.join(', ')}), ${total} in all${omitted}`;
}

/** The verdict on one line, for `--quiet`. */
export function verdictLine(trace: TraceSummary, { theme }: TextStyle): string {
  const because = trace.because.length > 0 ? `: ${trace.because.join('; ')}` : '';
  return `${theme.verdict[trace.verdict](trace.verdict)}  ${pathName(trace.path)}${because}`;
}

/** The verdict, why, and what was read. */
export function headLines(trace: TraceSummary, { theme, width }: TextStyle): string[] {
  const size = [
    counted(trace.events, 'record'),
    counted(trace.timerEvents, 'timer event'),
    counted(trace.cpus, 'CPU'),
    `${trace.duration} s`,
  ];
  const about = [trace.format, `kernel ${trace.kernel ?? 'not named'}`, `clock ${trace.clock ?? 'not named'}`];
  return [
    `${theme.verdict[trace.verdict](trace.verdict)}  ${theme.bold(pathName(trace.path))}`,
    ...trace.because.flatMap((sentence) => paragraph(sentence, width, '    ', '  - ')),
    ...labelled('findings', findingTotals(trace), width),
    ...labelled('input', [...about, ...size].join(', '), width),
  ];
}

function conditionDetail(item: ConditionSummary): string {
  const details = Object.entries(item.details).map(([detail, count]) => `${detail} ${count}`);
  // What concerns the trace as a whole has no place in it.
  const place = item.position.line === 0 ? [] : [`first at ${positionWords(item.position)}`];
  return [...place, ...details].join(', ');
}

/** Every way in which the input was incomplete or strange; that there was none is said as well. */
export function conditionLines(trace: TraceSummary, { theme, width }: TextStyle): string[] {
  if (trace.conditions.length === 0) {
    return [`${theme.bold('conditions')}  none: nothing lost, skipped or assumed`];
  }
  // What weighs most comes first.
  const order = ['loss', 'warning', 'info'];
  const conditions = [...trace.conditions].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  const rows = align(conditions.map((item) => [item.severity, item.count, item.kind, '']));
  return [
    theme.bold('conditions'),
    ...conditions.flatMap((item, index) => {
      const [severity, count, kind] = rows[index]!;
      const start = `  ${severity}  ${count}  ${kind}  `;
      const [first, ...rest] = paragraph(item.sentence, width, ' '.repeat(start.length), start);
      const painted = first!.replace(severity!, theme.severity[item.severity]);
      const words = conditionDetail(item);
      const detail = words === '' ? [] : paragraph(words, width, ' '.repeat(start.length));
      return [painted, ...rest, ...detail.map(theme.dim)];
    }),
  ];
}

function vcpuRow(vcpu: VcpuSummary): (string | number)[] {
  return [
    `  VM ${vcpu.vm} (${vcpu.vmCertainty})`,
    `vcpu ${vcpu.id < 0 ? '?' : vcpu.id}`,
    threadWords(vcpu.comm, vcpu.pid),
    vcpu.events,
    vcpu.knownSince === null ? 'events, load state never known' : `events, known since ${vcpu.knownSince}`,
  ];
}

export function vcpuLines(trace: TraceSummary, { theme }: TextStyle): string[] {
  if (trace.vcpus.length === 0) return [`${theme.bold('vcpus')}  none found`];
  const title = `${theme.bold('vcpus')}  ${trace.vcpus.length} in ${counted(trace.vms, 'VM')}`;
  return [title, ...align(trace.vcpus.map(vcpuRow)).map((cells) => cells.join('  '))];
}

/** Which kernel model and host type were used, and what spoke for them. */
export function modelLines(trace: TraceSummary, { theme, width }: TextStyle): string[] {
  const { model, host } = trace;
  const name =
    model.id ??
    (model.candidates.length === 0
      ? 'none: this version has no model for the kernel that recorded the trace'
      : `not decided between ${model.candidates.join(', ')}`);
  const reasons = (sentences: readonly string[]) =>
    sentences.flatMap((sentence) => paragraph(sentence, width, '    ', '  - '));
  return [
    `${theme.bold('model')}  ${name}`,
    ...reasons(model.reasons),
    `${theme.bold('host')}  ${host.id ?? 'not known'}`,
    ...reasons(host.reasons),
  ];
}

/** What followed the first occurrence of findings that have been shown as they were found. */
export function repeatLines(findings: readonly Finding[], { theme }: TextStyle): string[] {
  const repeated = findings.filter((finding) => finding.count > 1);
  if (repeated.length === 0) return [];
  const rows = repeated.map((item) => ['  ', item.count, 'times', `${item.rule}/${item.diagnosis}`, item.fingerprint]);
  return [theme.bold('repeated findings'), ...align(rows).map((cells) => cells.join('  '))];
}

/**
 * The report of a finished trace. Findings that have been shown while it was read are not shown again.
 */
export function traceLines(trace: TraceSummary, style: TextStyle, findingsShown: boolean): string[] {
  const sections = [
    headLines(trace, style),
    ...(findingsShown
      ? [repeatLines(trace.findings, style)]
      : trace.findings.map((finding) => findingLines(finding, trace.path, style))),
    conditionLines(trace, style),
    vcpuLines(trace, style),
    modelLines(trace, style),
    timingLines(trace, style),
    coverageLines(trace, style),
  ];
  return sections.filter((lines) => lines.length > 0).flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}
