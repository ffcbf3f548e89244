import { describe, expect, it } from 'vitest';
import type { Fact, Finding } from '../../src/check/facts.js';
import { check } from '../../src/index.js';
import { reportSchema } from '../../src/report/json/schema.js';
import { replay } from '../report/replay.js';

const header = 'event,vcpu,cpu,irq,level,time\n';
/** Vcpu 0 in the guest of CPU 0, whose interrupt has raised the level; vcpu 1 has come and gone on CPU 1. */
const before =
  'load,0,0,,,0\nload,1,1,,,1us\nput,1,1,,,2us\nentry,0,0,,,10us\n' +
  'vtimer_irq,,0,,,20us\nupdate_irq,0,0,27,1,21us\nvtimer_irq_end,,0,,,22us\n';

/** Handler calls of CPU 0, 10 us apart, the first at `from` microseconds. */
function interrupts(count: number, from: number): string {
  return Array.from(
    { length: count },
    (_, i) => `vtimer_irq,,0,,,${from + 10 * i}us\nvtimer_irq_end,,0,,,${from + 10 * i + 5}us\n`,
  ).join('');
}

async function factsOf(trace: string): Promise<Fact[]> {
  const facts: Fact[] = [];
  const input = {
    path: '-',
    async *open() {
      yield Buffer.from(header + trace);
    },
  };
  for await (const fact of check([input], { model: 'rfc-load-put', host: 'nvhe' })) facts.push(fact);
  return facts;
}

async function storm(trace: string): Promise<Finding> {
  const end = (await factsOf(trace)).find((fact) => fact.type === 'trace-end');
  const found = end!.summary.findings.filter(({ rule }) => rule === 'irq-not-repeated-while-level-high');
  expect(found).toHaveLength(1);
  return found[0]!;
}

describe('a violation that goes on', () => {
  it('is one finding with its count, cause, end and duration', async () => {
    const { count, episodes, occurrences, message, argument, position } = await storm(
      `${before}${interrupts(500, 30)}load,1,1,,,5ms\nexit,0,0,,,6ms\nentry,0,0,,,7ms\n`,
    );
    expect({ count, episodes: episodes!.count, occurrences: occurrences.length }).toEqual({
      count: 500,
      episodes: 1,
      occurrences: 1,
    });
    expect(occurrences[0]!.count).toBe(500);
    expect(position).toEqual({ line: 9 });
    expect(episodes!.first).toMatchObject({
      time: '0.000030000',
      last: '0.005020000',
      duration: '0.004990000',
      cause: { event: 'put', position: { line: 4 } },
      end: { event: 'load', position: { line: 1009 } },
      ended: 'the load of vcpu 1 on CPU 1 set the forwarded flag again',
    });
    expect(message).toContain('handled 500 times more in 4.990 ms, after the put of vcpu 1 on CPU 1');
    expect(argument.but).toBe('the handler ran again 500 times within 4.990 ms');
  });

  it('ends with what lets the guest go on where nobody sets the flag', async () => {
    const { episodes } = await storm(`${before}${interrupts(5, 30)}exit,0,0,,,1ms\nput,0,0,,,2ms\n`);
    expect(episodes!.first).toMatchObject({ ended: 'vcpu 0 was put', end: { event: 'put' } });
  });

  it('says that it goes on when the trace ends, or that its end is lost', async () => {
    const open = await storm(before + interrupts(5, 30));
    expect(open.episodes!.first).toMatchObject({ ended: 'it goes on to the end of the trace', end: null });
    const lost = await storm(`${before}${interrupts(5, 30)}lost,,0,,,1ms\n`);
    expect(lost.episodes!.first.ended).toBe('records were lost: whether it went on is not known');
  });

  it('counts its episodes and names the longest beside the first', async () => {
    const again = 'put,1,1,,,2ms\nvtimer_irq,,0,,,3ms\nupdate_irq,0,0,27,1,3001us\nvtimer_irq_end,,0,,,3002us\n';
    const { count, episodes, occurrences } = await storm(
      `${before}${interrupts(5, 30)}load,1,1,,,1ms\nexit,0,0,,,1100us\nentry,0,0,,,1200us\nupdate_irq,0,0,27,0,1300us\n${again}${interrupts(50, 3010)}exit,0,0,,,9ms\nput,0,0,,,10ms\n`,
    );
    expect({ count, episodes: episodes!.count }).toEqual({ count: 55, episodes: 2 });
    expect(occurrences.map((one) => one.count)).toEqual([5, 50]);
    expect(episodes!.first.count).toBe(5);
    expect(episodes!.longest).toMatchObject({ count: 50, time: '0.003010000', ended: 'vcpu 0 was put' });
    expect(episodes!.longest.message).toContain('handled 50 times more');
  });

  it('is told when it begins and completed when it ends', async () => {
    const stream = await factsOf(`${before}${interrupts(20, 30)}load,1,1,,,5ms\nexit,0,0,,,6ms\nentry,0,0,,,7ms\n`);
    const types = stream.flatMap((fact) =>
      (fact.type === 'finding' || fact.type === 'finding-end') && fact.finding.diagnosis === 'storm' ? [fact.type] : [],
    );
    expect(types).toEqual(['finding', 'finding-end']);
  });

  it('shows in every report', async () => {
    const stream = await factsOf(`${before}${interrupts(20, 30)}load,1,1,,,5ms\nexit,0,0,,,6ms\nentry,0,0,,,7ms\n`);
    const ended = 'the load of vcpu 1 on CPU 1 set the forwarded flag again';
    const text = (await replay('text', stream)).replace(/\n +/g, ' ');
    expect(text).toContain(`ended      ${ended}, last at 0.000220000; 0.005000000 on CPU 1`);
    expect(await replay('ktap', stream)).toContain(`#   ended: ${ended}`);
    const report: unknown = JSON.parse(await replay('json', stream));
    expect(reportSchema.parse(report)).toEqual(report);
    const [, found] = (report as { traces: { findings: { episodes: unknown }[] }[] }).traces[0]!.findings;
    expect(found!.episodes).toMatchObject({ count: 1, first: { count: 20, ended, last: { time: 0.00022 } } });
  });
});
