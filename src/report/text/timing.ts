import type { CounterSummary, TraceSummary } from '../../check/facts.js';
import { counted } from '../place.js';
import type { TextStyle } from './finding.js';
import { align } from './layout.js';

/** Kinds of evidence that bound a counter from below, and from above; armed timers do both. */
const [below, above] = [
  ['fired', 'raised', 'savedExpired', 'foundExpired'],
  ['lowered', 'savedPending', 'foundPending'],
] as const;

function frequencyText({ frequency, source }: TraceSummary['timing']): string {
  if (frequency === null) return 'frequency not known: the trace shows too few deadlines';
  return `${Number((frequency / 1e6).toFixed(6))} MHz, ${source === 'given' ? 'as given' : 'inferred'}`;
}

function widthText(width: number | null): string {
  if (width === null) return 'not bounded';
  return width < 1e6
    ? `known to ${Math.max(1, Math.round(width / 1e3))} us`
    : `known to ${(width / 1e6).toFixed(1)} ms`;
}

function counterRow({ vcpu, timer, constraints, width, changes }: CounterSummary): string[] {
  const sum = (names: readonly (keyof typeof constraints)[]) =>
    names.reduce((total, name) => total + constraints[name], 0);
  return [
    vcpu === null ? '  all VMs' : `  VM ${vcpu.vm}`,
    vcpu === null ? '' : `vcpu ${vcpu.id < 0 ? '?' : vcpu.id}`,
    timer,
    widthText(width),
    `from ${counted(constraints.armed, 'equality', 'equalities')}, ${sum(below)} lower and ${sum(above)} upper bounds`,
    changes === 0 ? '' : counted(changes, 'offset change'),
  ];
}

/** The counter's frequency, and how well each timer's offset is known. */
export function timingLines({ timing }: TraceSummary, { theme }: TextStyle): string[] {
  if (timing.counters.length === 0 && timing.frequency === null) return [];
  const rows = align(timing.counters.map(counterRow)).map((cells) => cells.join('  ').trimEnd());
  return [`${theme.bold('counter')}  ${frequencyText(timing)}`, ...rows];
}
