import { describe, expect, test } from 'vitest';
import type { TraceSummary } from '../../src/check/facts.js';
import { modelIds } from '../../src/models/model.js';
import { checkText, type Line, lines, missing, report, stock, textOf, told } from './recordings.js';

/** What the same records must give however they are printed. */
function essence(summary: TraceSummary): object {
  const rules = Object.entries(summary.rules).map(([id, { status, held, violated, undecided }]) => [
    id,
    `${status} ${held} ${violated} ${undecided}`,
  ]);
  return {
    events: summary.events,
    model: summary.model.id,
    host: summary.host.id,
    // Without thread groups or offsets the VM is assumed from the thread's name, and says so.
    vcpus: summary.vcpus
      .map(({ vm, vmCertainty, id, pid }) => `${vmCertainty === 'assumed' ? '?' : vm} ${id} ${pid}`)
      .sort(),
    vms: summary.vms,
    verdict: summary.verdict,
    findings: told(summary).map((line) => line.replace(/, first.*/, '')),
    rules: Object.fromEntries(rules),
  };
}

/** The probes of the recordings, by the function that they sit on. */
const functions: Readonly<Record<string, string>> = {
  vcpu_load: 'kvm_arch_vcpu_load',
  vcpu_put: 'kvm_arch_vcpu_put',
  timer_load: 'kvm_timer_vcpu_load',
  timer_put: 'kvm_timer_vcpu_put',
  timer_handler: 'kvm_arch_timer_handler',
  arch_vcpu_blocking: 'kvm_arch_vcpu_blocking',
  arch_vcpu_unblocking: 'kvm_arch_vcpu_unblocking',
  bg_timer_expire: 'kvm_bg_timer_expire',
  vcpu_block: 'kvm_vcpu_block',
  timer_vcpu_reset: 'kvm_timer_vcpu_reset',
};

/** Rewrites the records of probes; several texts for one record repeat it. */
function probes(all: readonly Line[], rewrite: (text: string, name: string, probed: string) => string[]): Line[] {
  return all.flatMap((line) => {
    const probed = functions[line.event];
    return probed === undefined ? [line] : rewrite(line.text, line.event, probed).map((text) => ({ ...line, text }));
  });
}

const rename = (text: string, from: string, to: string) => text.replace(` ${from}:`, ` ${to}:`);
const showing = (text: string, probed: string) => text.replace(/\([0-9a-f]+\)/, `(${probed}+0x0/0x210)`);
const shift = (text: string, seconds: number) =>
  text.replace(/ (\d+)(\.\d{6,9}:)/, (_, whole: string, rest: string) => ` ${Number(whole) + seconds}${rest}`);

const probed = ['5.10-vhe-kp-mixed', '6.1-nvhe-kp-mixed', '7.2-vhe-kp-mixed'] as const;

describe.skipIf(missing !== undefined)(`one recording in many forms (${missing ?? 'recordings'})`, () => {
  // Some ways to print a recording of 4.9 name the callbacks of hrtimers, and some do not.
  // From 4.15 to 5.0 the flags of -l tell the active state that a load writes from that of a handler.
  const named = stock.filter((name) => !/^(4\.9|4\.15|4\.19|5\.0)-/.test(name));

  /** Without the rules that such ways decide more or less often: a microsecond more or less decides some deadlines. */
  const comparable = (found: ReturnType<typeof essence>) => {
    const { 'no-sleep-with-expired-timer': _, ...rules } = (found as { rules: Record<string, string> }).rules;
    return { ...found, rules };
  };

  test.each(named)('%s: every way to print it says the same', async (name) => {
    const expected = comparable(essence(await checkText(report(name, '-N'))));
    for (const options of [[], ['-N', '-t'], ['-N', '-l'], ['-l'], ['-R'], ['-R', '-t']])
      expect(comparable(essence(await checkText(report(name, ...options)))), options.join(' ')).toEqual(expected);
  });

  test.each(stock)('%s: line ends, blanks, instances and names do not matter', async (name) => {
    const text = report(name, '-N');
    const expected = essence(await checkText(text));
    const pids = new Set([...text.matchAll(/-(\d+) +\[\d{3}\] .*: kvm_entry:/g)].map((match) => match[1]));
    const named = (comm: string) =>
      text.replace(/^ *(.*?)-(\d+)( +\[)/gm, (whole, _, pid: string, rest: string) =>
        pids.has(pid) ? `${comm}-${pid}${rest}` : whole,
      );
    const forms = {
      'CR LF': text.replaceAll('\n', '\r\n'),
      'no last line end': text.trimEnd(),
      'no leading blanks': text.replace(/^ +/gm, ''),
      instance: text.replace(/^(?!cpus=)/gm, 'top: '),
      dashes: named('a-1 [000] x'),
      brackets: named('[kvm]-12'),
      colons: named('kvm_entry: '),
    };
    for (const [title, form] of Object.entries(forms)) {
      const { events: _, ...found } = essence(await checkText(form)) as { events: number };
      expect(found, title).toEqual((({ events: __, ...rest }) => rest)(expected as { events: number }));
    }
  });

  test.each(probed)('%s: probes by any name', async (name) => {
    const all = lines(report(name, '-N'));
    const expected = essence(await checkText(textOf(all)));
    const forms = {
      p_FUNCTION_0: probes(all, (text, event, on) => [rename(text, event, `p_${on}_0`)]),
      'probe:FUNCTION': probes(all, (text, event, on) => [rename(text, event, `probe:${on}`)]),
      'any name, function shown': probes(all, (text, event, on) => [
        showing(rename(text, event, `mine${event.length}`), on),
      ]),
      'and its return': probes(all, (text, event, on) => [
        text,
        rename(text, event, `r_${on}_0`).replace(/\([0-9a-f]+\).*/, `(vcpu_load+0x2c/0x58 <- ${on}) ret=0x0`),
      ]),
    };
    for (const [title, form] of Object.entries(forms)) {
      const { events: _, ...found } = essence(await checkText(textOf(form))) as { events: number };
      expect(found, title).toEqual((({ events: __, ...rest }) => rest)(expected as { events: number }));
    }
  });

  // Two probes of one function record the same call twice, one record directly after the other.
  test.each(probed)('%s: a function probed twice was called once', async (name) => {
    const all = lines(report(name, '-N'));
    const forms = {
      fprobe: probes(all, (text, event, on) => [text, showing(rename(text, event, `f_${event}`), on)]),
      'function tracer': probes(all, (text, _, on) => [
        text,
        text.replace(/(\.\d{6}: +)\w+:.*/, `$1function:             ${on} <-- vcpu_load`),
      ]),
    };
    for (const [title, form] of Object.entries(forms)) expect(told(await checkText(textOf(form))), title).toEqual([]);
  });

  // The second recording begins with a header of its own.
  test.each([...stock, '4.15-nvhe-tickwfi'])('%s: recorded twice into one file', async (name) => {
    const text = report(name, '-N');
    expect(told(await checkText(text + text))).toEqual([]);
  });

  // Up to 4.14 levels alternate strictly, and without probes nothing in such a file says that a part is missing.
  const shown = stock.filter((name) => !/^4\.\d+-nvhe-mixed/.test(name));

  test.each(shown)('%s: recorded on and with the VM restarted', async (name) => {
    const text = report(name, '-N');
    const later = text
      .split('\n')
      .map((line) => shift(line, 1000))
      .join('\n');
    expect(told(await checkText(text + later)), 'the same 1000 s later').toEqual([]);
    const pids = new Set([...text.matchAll(/-(\d+) +\[\d{3}\] .*: kvm_entry:/g)].map((match) => match[1]));
    const renumber = (pid: string) => (pids.has(pid) ? String(Number(pid) + 1000) : pid);
    const restarted = later
      .replace(/-(\d+)( +\[\d{3}\])/g, (_, pid: string, rest: string) => `-${renumber(pid)}${rest}`)
      .replace(/\b((?:prev_|next_)?pid)=(\d+)/g, (_, key: string, pid: string) => `${key}=${renumber(pid)}`);
    expect(told(await checkText(text + restarted)), 'restarted').toEqual([]);
  });

  test('a model that the records contradict is reported', async () => {
    const text = report('6.1-vhe-mixed', '-N');
    for (const model of modelIds.filter((id) => id !== 'timer-map')) {
      const { conditions } = await checkText(text, { model });
      expect(
        conditions.map(({ kind }) => kind),
        model,
      ).toContain('model-contradiction');
    }
    const { conditions } = await checkText(text, { host: 'nvhe' });
    expect(
      conditions.map(({ kind }) => kind),
      'host',
    ).toContain('model-contradiction');
  });

  test('a trace without timer events is inconclusive', async () => {
    const all = lines(report('6.1-vhe-mixed', '-N'));
    const kept = all.filter((line) => line.event === 'sched_switch' || line.event === 'kvm_mmio');
    expect((await checkText(textOf(kept))).verdict).toBe('inconclusive');
  });
});
