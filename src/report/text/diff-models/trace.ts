import type { TraceSummary } from '../../../check/facts.js';
import { categories, costGroups, costKinds, costMeanings } from '../../../cost/kinds.js';
import { type Assumption, assumptionMeanings } from '../../../diff/models/assumptions.js';
import type { DesignDivergence, Hazard, ModelsDiff, SignalName } from '../../../diff/models/facts.js';
import { counted, pathName, vcpuWords } from '../../place.js';
import type { TextStyle } from '../finding.js';
import { labelled, paragraph } from '../layout.js';
import { claimLines } from './claims.js';

/** Width of the column that names an operation. */
const nameColumn = 34;
/** Width of one design's column. */
const designColumn = 22;

const hostWords = { vhe: 'VHE', nvhe: 'non-VHE' } as const;

/** A count, and how many that are of each event. */
function figure(count: number, events: number): string {
  const each = events === 0 ? '' : (count / events).toFixed(2);
  return `${String(count).padStart(9)} ${each.padStart(8)}`.padEnd(designColumn);
}

function headLines(summary: TraceSummary, diff: ModelsDiff, { theme, width }: TextStyle): string[] {
  const { first, second, host, hostFrom } = diff;
  const source = { given: 'as asked for', trace: 'as recorded', assumed: 'assumed: the recording does not tell' }[
    hostFrom
  ];
  const recorded = [
    summary.kernel === null ? 'kernel not named' : `kernel ${summary.kernel}`,
    `model ${summary.model.id ?? `one of ${summary.model.candidates.join(', ')}`}`,
    counted(summary.vcpus.length, 'vcpu'),
    `${summary.duration} s`,
  ];
  const replayed = [
    `${counted(diff.stimuli, 'act')} of guest, scheduler and userspace, on a ${hostWords[host]} host (${source})`,
    diff.hasPtimer ? '' : 'guests without a physical timer, as up to 4.10',
  ];
  const stopped = [first, second].flatMap(({ model, stopped: stop }) =>
    stop === null ? [] : [`${model} stopped at ${stop.at} s: ${stop.message}; nothing of it counts after that`],
  );
  return [
    theme.bold(`${first.model} -> ${second.model}  ${pathName(summary.path)}`),
    ...labelled('recorded', recorded.join(', '), width, 10),
    ...labelled('replayed', replayed.filter((part) => part !== '').join('; '), width, 10),
    ...stopped.flatMap((text) => labelled('stopped', text, width, 10)),
  ];
}

const whose = { first: 0, second: 1, both: 2 } as const;

function hazardLines({ hazards, first, second }: ModelsDiff, { theme, width }: TextStyle): string[] {
  const count = (side: Hazard['in']) => hazards.filter((hazard) => hazard.in === side).length;
  const title = `hazards  ${count('first')} of ${first.model} only, ${count('second')} of ${second.model} only, ${count('both')} of both`;
  const names = [first.model, second.model, 'both'];
  return [
    theme.bold(title),
    ...[...hazards]
      .sort((a, b) => whose[b.in] - whose[a.in])
      .flatMap(({ in: side, finding, counts }) => {
        const times = side === 'both' ? `${counts[0]} and ${counts[1]} times` : counted(counts[0] + counts[1], 'time');
        const { severity, rule, diagnosis, message, time } = finding;
        return [
          ...paragraph(
            `${names[whose[side]]}  ${severity}  ${rule}/${diagnosis}  ${times}, first at ${time}`,
            width,
            '    ',
            '  ',
          ),
          ...paragraph(message, width, '      '),
        ];
      }),
  ];
}

const signalTexts: Readonly<Record<SignalName, string>> = {
  interrupts: 'interrupts that the host took',
  raised: 'levels reported high',
  lowered: 'levels reported low',
  taken: 'virtual interrupts taken',
};

function signalLines({ first, second, signals }: ModelsDiff, { theme }: TextStyle): string[] {
  const row = (name: string, one: number, other: number, shared = '') =>
    `  ${name.padEnd(nameColumn - 2)}${String(one).padStart(14)}${String(other).padStart(16)}   ${shared}`.trimEnd();
  const shared = (name: SignalName) => {
    const { both, onlyFirst, onlySecond } = signals[name];
    return [both, onlyFirst, onlySecond].map((count) => String(count).padStart(6)).join(' ');
  };
  const all = (name: SignalName) => row(signalTexts[name], first.signals[name], second.signals[name], shared(name));
  const plain = (text: string, one: number, other: number) => row(text, one, other);
  return [
    theme.bold(
      `${'interrupts and levels'.padEnd(nameColumn)}${first.model.padStart(14)}${second.model.padStart(16)}   by deadline: both, 1st, 2nd`,
    ),
    all('interrupts'),
    plain('  that changed no level', first.signals.idleInterrupts, second.signals.idleInterrupts),
    all('raised'),
    plain('  by the interrupt handler', first.signals.raisedByHandler, second.signals.raisedByHandler),
    all('lowered'),
    all('taken'),
    plain('background timers expired', first.signals.expiries, second.signals.expiries),
    plain('threads woken', first.signals.wakeups, second.signals.wakeups),
  ];
}

function costLines({ first, second }: ModelsDiff, { theme }: TextStyle): string[] {
  const [one, other] = [first.costs, second.costs];
  const lines = [
    theme.bold(
      `${'operations'.padEnd(nameColumn)}${first.model.padStart(18)}${' '.repeat(4)}${second.model.padStart(18)}`,
    ),
  ];
  for (const group of costGroups) {
    const [before, after] = [one.ofGroup(group), other.ofGroup(group)];
    if (before + after > 0)
      lines.push(`  ${`all: ${group}`.padEnd(nameColumn - 2)}${figure(before, 0)}${figure(after, 0)}`.trimEnd());
  }
  for (const category of categories) {
    const [before, after] = [one.events(category), other.events(category)];
    const kinds = costKinds.filter((kind) => one.operations(category, kind) + other.operations(category, kind) > 0);
    if (before + after === 0 || (kinds.length === 0 && before === after)) continue;
    const title = `  ${category}`.padEnd(nameColumn);
    lines.push(theme.bold(`${title}${figure(before, 0)}${figure(after, 0)}`.trimEnd()));
    for (const kind of kinds) {
      const name = `    ${costMeanings[kind][0]}`.padEnd(nameColumn);
      const cells = [figure(one.operations(category, kind), before), figure(other.operations(category, kind), after)];
      lines.push(`${name}${cells.join('')}`.trimEnd());
    }
  }
  return lines;
}

function divergenceLines(
  title: string,
  divergence: DesignDivergence | null,
  diff: ModelsDiff,
  style: TextStyle,
): string[] {
  const { theme, width } = style;
  if (divergence === null) return [theme.bold(`${title}  none`)];
  const { time, vcpu, cpu, after, what, first, second } = divergence;
  const names = Object.keys(first);
  const rows = names.map((name) => {
    const [one = '', other = ''] = [first[name], second[name]];
    const line = `    ${name.padEnd(20)}${one.padEnd(26)}${other}`.trimEnd();
    return one === other ? theme.dim(line) : line;
  });
  return [
    theme.bold(`${title}  ${time} s`),
    ...paragraph(`after the ${after} of ${vcpuWords(vcpu)} on CPU ${cpu}: ${what}`, width, '  '),
    theme.bold(`    ${''.padEnd(20)}${diff.first.model.padEnd(26)}${diff.second.model}`),
    ...rows,
  ];
}

function assumptionLines({ assumed, first, second }: ModelsDiff, { theme, width }: TextStyle): string[] {
  const of = (counts: Readonly<Partial<Record<Assumption, number>>>, suffix: string) =>
    (Object.entries(counts) as [Assumption, number][]).flatMap(([name, count]) =>
      paragraph(`${assumptionMeanings[name]}${suffix}`, width, ' '.repeat(12), `  ${String(count).padStart(8)}  `),
    );
  const same = JSON.stringify(first.assumed) === JSON.stringify(second.assumed);
  const own = same
    ? of(first.assumed, '')
    : [first, second].flatMap(({ model, assumed: counts }) => of(counts, ` (${model})`));
  const lines = [...of(assumed, ''), ...own];
  return [theme.bold('assumptions'), ...(lines.length === 0 ? ['  none'] : lines)];
}

/** Two designs on the guest of one recording: the claims first, then hazards, signals, operations, and the detail. */
export function modelsDiffLines(summary: TraceSummary, diff: ModelsDiff, style: TextStyle): string[] {
  const sections = [
    headLines(summary, diff, style),
    claimLines('what the RFC promised', diff.claims, style),
    hazardLines(diff, style),
    signalLines(diff, style),
    costLines(diff, style),
    divergenceLines('first difference that the guest sees', diff.guestDivergence, diff, style),
    divergenceLines('first difference of interrupts and levels', diff.hostDivergence, diff, style),
    assumptionLines(diff, style),
  ];
  return sections.flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}
