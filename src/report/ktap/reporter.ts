import { bugWords } from '../../bugs/bug.js';
import type { Finding, RuleSummary, TraceSummary } from '../../check/facts.js';
import { type Severity, severities } from '../../rules/rule.js';
import type { Output } from '../output.js';
import { counted, pathName, placeWords, vcpuWords } from '../place.js';
import { printable, printableFact } from '../printable.js';
import type { Reporter, ReporterOptions } from '../reporter.js';

/** A description must not hold the sign that begins a directive. */
function description(text: string): string {
  return printable(text).replaceAll('#', '_');
}

const skipped: Record<string, string> = {
  undecided: 'undecided',
  'not-exercised': 'not exercised',
  'not-applicable': 'not applicable',
  off: 'switched off',
};

function findingLines(path: string, finding: Finding): string[] {
  const { episodes } = finding;
  const inEpisodes = episodes === undefined ? '' : ` in ${counted(episodes.count, 'episode')}`;
  const times = finding.count > 1 ? `, ${finding.count} times${inEpisodes}` : '';
  const ends = episodes === undefined ? [] : [`#   ended: ${episodes.first.ended ?? 'not yet'}`];
  if (episodes !== undefined && episodes.longest.count > episodes.first.count) {
    const { message, time, cpu, ended } = episodes.longest;
    ends.push(`#   longest: ${message}; at ${time}, CPU ${cpu}; ended: ${ended ?? 'not yet'}`);
  }
  return [
    `# ${finding.severity}: ${finding.message}${times}`,
    `#   at ${placeWords(path, finding.position)}, ${finding.time}, CPU ${finding.cpu}, ${vcpuWords(finding.vcpu)}`,
    `#   ${finding.argument.must}; but ${finding.argument.but}; fingerprint ${finding.fingerprint}`,
    ...ends,
    ...finding.bugs.map((bug) => `#   the sign of known bug ${bugWords(bug)}`),
  ];
}

function ruleLines(number: number, id: string, rule: RuleSummary, trace: TraceSummary, failOn: Severity): string[] {
  const name = `${number} ${description(id)}`;
  if (rule.status === 'held') return [`ok ${name}`];
  if (rule.status !== 'violated') {
    const reason = rule.reason === undefined ? '' : `: ${rule.reason}`;
    return [`ok ${name} # SKIP ${skipped[rule.status]}${reason}`];
  }
  const findings = trace.findings.filter((finding) => finding.rule === id);
  const lines = findings.flatMap((finding) => findingLines(trace.path, finding));
  const fails = rule.severity !== 'off' && severities.indexOf(rule.severity) >= severities.indexOf(failOn);
  return [
    ...lines,
    fails
      ? `not ok ${name}`
      : `ok ${name} # violated ${counted(rule.violated, 'time')}, ${rule.severity} does not fail the run`,
  ];
}

/** Result line of a trace: skipped when inconclusive, because a pass would say that it was checked. */
function traceResult(number: number, trace: TraceSummary): string {
  const name = `${number} ${description(pathName(trace.path))}`;
  switch (trace.verdict) {
    case 'clean':
      return `ok ${name}`;
    case 'violations':
      return `not ok ${name}`;
    case 'inconclusive':
      return `ok ${name} # SKIP inconclusive: ${trace.because.join('; ')}`;
  }
}

function traceLines(number: number, trace: TraceSummary, failOn: Severity): string[] {
  const rules = Object.entries(trace.rules);
  const model = `model ${trace.model.id ?? trace.model.candidates.join(' or ')}, host ${trace.host.id ?? 'unknown'}`;
  const suite = [
    'KTAP version 1',
    `# Subtest: ${description(pathName(trace.path))}`,
    `1..${rules.length}`,
    `# ${trace.format}, kernel ${trace.kernel ?? 'unknown'}, ${model}`,
    ...trace.conditions.map((item) => `# ${item.severity} ${item.kind}: ${item.sentence}, ${item.count}`),
    ...rules.flatMap(([id, rule], index) => ruleLines(index + 1, id, rule, trace, failOn)),
  ];
  if (trace.findingsOmitted > 0) suite.push(`# ${trace.findingsOmitted} further findings beyond --max-findings`);
  return [...suite.map((line) => `  ${line}`), traceResult(number, trace)];
}

/**
 * KTAP version 1 (Documentation/dev-tools/ktap.rst): a test a trace, with a subtest a rule.
 *
 * `not ok` is a violation that fails the run. A violation below that severity is `ok` with its findings as
 * diagnostic lines; a rule that was never decided is `SKIP` with the reason, never a plain pass; an input that
 * could not be read is `not ok` with `ERROR`.
 */
export function ktapReporter(output: Output, options: ReporterOptions): Reporter {
  let done = 0;
  let begun = false;
  const write = async (lines: readonly string[]) => {
    const head = begun ? [] : ['KTAP version 1', `1..${options.inputs}`];
    begun = true;
    await output.write([...head, ...lines].map((line) => `${line}\n`).join(''));
  };
  return {
    async fact(fact) {
      switch (fact.type) {
        case 'trace-end':
          done += 1;
          await write(traceLines(done, printableFact(fact.summary), options.failOn));
          break;
        case 'trace-failed': {
          done += 1;
          const error = printable(fact.failure.error);
          await write([`not ok ${done} ${description(pathName(fact.path))} # ERROR ${error}`]);
          break;
        }
        case 'run-end':
          await write(fact.run.exitCode === 130 ? ['# interrupted: what was read until then is reported'] : []);
          break;
        default:
      }
    },
    end() {},
  };
}
