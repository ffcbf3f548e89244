import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { checkJson, launcher, root, timervet } from '../package/timervet.js';

const recording = 'traces/recordings/6.1-vhe/tickwfi.txt.gz';
const broken = 'traces/broken/stale-cval-watch.txt.gz';

const lines = (text: string) => text.split('\n').slice(0, -1);
/** Lines of events, without headings, name and end. */
const events = (text: string) => lines(text).filter((line) => /^ +\d+\.\d{9} /.test(line));

const story = `# model: timer-map
# host: vhe
time,event,vcpu,cpu,timer,ctl,cval,level,next,state
0.000001,load,0,1
0.000002,restore,0,1,vtimer,1,0x1000
0.000003,entry,0,1
0.000004,exit,0,1
0.000005,update_irq,0,1,vtimer,,,1
0.000006,update_irq,0,1,ptimer,,,0
0.000007,put,0,1
0.000008,save,0,1,vtimer,5,0x1000
0.000009,bg_arm,0,1
`;

/** Records of a kernel of 5.0 that show some of what it did. */
const deeds = `# model: load-put-5.0
# host: nvhe
time,event,vcpu,cpu,timer,ctl,cval,level
0.000001,load,0,1
0.000002,entry,0,1
0.000003,exit,0,1
0.000004,put,0,1
0.000006,load,0,1
0.000007,set_active,0,1,vtimer,,,1
0.000008,restore,0,1,vtimer,1,0x1000
0.000009,entry,0,1
0.000010,vtimer_irq,0,1,vtimer
0.000011,update_irq,0,1,vtimer,,,1
0.000012,vtimer_irq_end,0,1,vtimer
0.000013,exit,0,1
0.000014,schedule,0,1
0.000015,save,0,1,vtimer,1,0x1000
0.000016,bg_arm,0,1
0.000017,put,0,1
`;

describe('timervet replay', () => {
  it('shows each event with what is known after it, and marks what has changed', async () => {
    const { code, stdout, stderr } = await timervet(['replay', '--no-effects', '-'], { input: story });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines(stdout)).toEqual([
      'standard input',
      '            time CPU vcpu  event                where   on   timer in CTL         CVAL line bg',
      '     0.000001000   1 0.0    load                host   *1   *?        ???            ?  ?   ?',
      '     0.000002000   1 0.0    restore             host    1    hardware*E--*      0x1000* ?   ?',
      '     0.000003000   1 0.0    entry               guest  *1    hardware ???*           ?* ?   ?',
      '     0.000004000   1 0.0    exit                host   *1    hardware ???            ?  ?   ?',
      '     0.000005000   1 0.0    update_irq          host    1    hardware ???            ?    |*?',
      '     0.000006000   1 0.0    update_irq ptimer   host    1    hardware ???            ?    | ?',
      '     0.000007000   1 0.0    put                 host    1    hardware ???            ?    | ?',
      '     0.000008000   1 0.0    save                host    1    memory  *E-S*      0x1000*   | ?',
      '     0.000009000   1 0.0    bg_arm              host    1    memory   E-S       0x1000    | armed*',
      '9 events shown of 9 recorded ones, model timer-map',
    ]);
  });

  it('shows what the model did in between, and how that is known', async () => {
    const { stdout } = await timervet(['replay', '-'], { input: deeds });
    expect(lines(stdout)).toEqual([
      'standard input',
      '            time CPU vcpu  event                where   on   timer in CTL         CVAL line bg',
      '     0.000001000   1 0.0    load                host   *1   *?        ???            ?  ?   ?',
      '     0.000002000   1 0.0    entry               guest  *1    hardware*???            ?  ?   ?',
      '                           + wr CNTHCTL_EL2: guest  + the guest runs  + wr CNTHCTL_EL2: host',
      '     0.000003000   1 0.0    exit                host   *1    hardware ???            ?  ?   ?',
      '     0.000004000   1 0.0    put                 host    1    memory  *???            ?  ?   ?',
      '                           + mem.ctl := rd CTL(vtimer)  + mem.cval := rd CVAL(vtimer)',
      '                           + wr CTL(vtimer) := 0  + isb  + cancel soft timer(ptimer)',
      '                           + wr CNTVOFF_EL2 := 0 by HVC',
      '     0.000006000   1 0.0   +put_end             out    *none*memory   ???            ?  ?   ?',
      '     0.000006000   1 0.0    load                host   *1   *hardware*???            ?  ?   ?',
      '     0.000007000   1 0.0    set_active          host    1    hardware ???            ?  ?   ?',
      '                           = distributor active(vtimer) := 1  + wr CNTVOFF_EL2 := vm_offset by HVC',
      '                           + wr CVAL(vtimer) := mem.cval  + isb  + wr CTL(vtimer) := mem.ctl',
      '     0.000008000   1 0.0    restore             host    1    hardware E--*      0x1000* ?   ?',
      '                           + cancel soft timer(ptimer)',
      '     0.000009000   1 0.0    entry               guest  *1    hardware ???*           ?* ?   ?',
      '                           + wr CNTHCTL_EL2: guest  + the guest runs  + wr CNTHCTL_EL2: host',
      '     0.000010000   1 0.0    vtimer_irq          guest   1    hardware ???            ?  ?   ?',
      '     0.000011000   1 0.0    update_irq          guest   1    hardware ???            ?    |*?',
      '                           ? vgic inject(vtimer, 1)',
      '     0.000012000   1 0.0    vtimer_irq_end      guest   1    hardware ???            ?    | ?',
      '     0.000013000   1 0.0    exit                host   *1    hardware ???            ?    | ?',
      '     0.000014000   1 0.0    schedule            waiting*1    memory  *???            ?    | ?',
      '                           + mem.ctl := rd CTL(vtimer)  + mem.cval := rd CVAL(vtimer)',
      '                           + wr CTL(vtimer) := 0  + isb',
      '     0.000015000   1 0.0    save                waiting 1    memory   E--*      0x1000*   | ?',
      '     0.000016000   1 0.0    bg_arm              waiting 1    memory   E--       0x1000    | armed*',
      '                           = start bg_timer at earliest',
      '     0.000017000   1 0.0    put                 waiting 1    memory   E--       0x1000    | armed',
      '                           + cancel soft timer(ptimer)  + wr CNTVOFF_EL2 := 0 by HVC',
      '17 events shown of 16 recorded ones, model load-put-5.0',
    ]);
    const filtered = await timervet(['replay', '--kind', 'set_active', '-'], { input: deeds });
    expect(lines(filtered.stdout)).toContain(
      `${' '.repeat(27)}= distributor active(vtimer) := 1  + wr CNTVOFF_EL2 := vm_offset by HVC`,
    );
    const verbose = await timervet(['replay', '-v', '-'], { input: deeds });
    expect(verbose.stdout).toContain('+ loaded(vtimer) := 1');
  });

  it('draws the timer of each vcpu as a waveform, however long the recording is', async () => {
    const { code, stdout } = await timervet(['replay', '--wave', '-'], { input: story });
    expect(code).toBe(0);
    expect(lines(stdout)).toEqual([
      'standard input',
      'from 0.000001000, 200 ns a column',
      '_ low, # high, x both, . not loaded, I interrupt, F background timer fires, A background timer',
      'armed, d new deadline',
      '',
      'vcpu 0 of VM 0, thread pid 1000',
      '  loaded on CPU     11111111111111111111111111111111111111111',
      '  in the guest      __________x####x_________________________',
      '  in hardware            ##############################x_____',
      '  CTL enable             ######                        ######',
      '  CTL imask              ______                        ______',
      '  CTL istatus            ______                        ######',
      '  level                                 #####################',
      '  background timer                                          #',
      '  events                 d                             d    A',
    ]);
    const whole = lines((await timervet(['replay', '--wave', recording])).stdout);
    expect(whole.filter((line) => line.length > 100)).toEqual([]);
    expect(whole.filter((line) => line.startsWith('vcpu '))).toHaveLength(2);
    const drawn = whole.filter((line) => line.startsWith('  loaded on CPU'));
    for (const line of drawn) expect(line.length).toBeGreaterThan(75);
    expect(drawn.join('')).toMatch(/[01]/);
  });

  it('folds to a vcpu, a CPU, a kind of event and a window', async () => {
    const all = events((await timervet(['replay', recording])).stdout);
    const known = new Set(all);
    const count = async (...args: string[]) => {
      const shown = events((await timervet(['replay', recording, ...args])).stdout);
      expect(shown.filter((line) => !known.has(line))).toEqual([]);
      return shown;
    };
    expect(await count('--vcpu', '1')).toEqual(all.filter((line) => / 0\.1 /.test(line)));
    expect(await count('--vcpu', '0.1')).toEqual(all.filter((line) => / 0\.1 /.test(line)));
    expect(await count('--vcpu', '7.1')).toEqual([]);
    expect(await count('--cpu', '0')).toEqual(all.filter((line) => /^ *\d+\.\d+ +0 /.test(line)));
    const saves = all.filter((line) => /^.{28}(save|bg_arm)\b/.test(line));
    expect(saves.length).toBeGreaterThan(100);
    expect(await count('--kind', 'save,bg_arm')).toEqual(saves);
    expect(await count('--kind', 'save', '--kind', 'bg_arm')).toEqual(saves);
    expect(await count('--from', '10.06', '--to', '10.07')).toEqual(
      all.filter((line) => Number(line.slice(0, 16)) >= 10.06 && Number(line.slice(0, 16)) <= 10.07),
    );
  });

  it('shows what is around a finding, by its number and by its fingerprint', async () => {
    const { report } = await checkJson([broken]);
    const { findings } = report.traces[0]!;
    const [finding] = findings.filter(({ rule }) => rule === 'restore-equals-last-save');
    const number = findings.indexOf(finding!) + 1;
    const shown = await timervet(['replay', broken, '--around', String(number), '--kind', 'save,restore']);
    const named = await timervet([
      'replay',
      broken,
      '--around',
      finding!.fingerprint.slice(0, 8),
      '--kind',
      'save,restore',
    ]);
    expect(named.stdout).toBe(shown.stdout);
    for (const { time, event } of finding!.witness)
      expect(events(shown.stdout).some((line) => Number(line.slice(0, 16)) === time && line.includes(event))).toBe(
        true,
      );
    const wider = await timervet(['replay', broken, '--around', String(number), '--window', '50']);
    expect(events(wider.stdout).length).toBeGreaterThan(events(shown.stdout).length);
  });

  it('fits 100 columns, and shows the records on demand', async () => {
    const plain = await timervet(['replay', recording]);
    expect(lines(plain.stdout).filter((line) => line.length > 100)).toEqual([]);
    const { stdout } = await timervet(['replay', '-v', '--kind', 'save', recording]);
    expect(stdout).toMatch(/\n {28}kvm_timer_save_state: CTL: 0x1 CVAL: 0x[0-9a-f]+ arch_timer_ctx_index: 1 {2}CPU/);
  });

  it.each([
    [['--vcpu', 'x'], 'Expected a vcpu id, 1, or one of a VM, 0.1.'],
    [['--kind', 'saves'], '"saves" is no kind of event: load, put, '],
    [['--around', '99'], 'the recording has no finding 99'],
    [['--around', '1', '--from', '3'], 'cannot be used with option'],
    [['--step'], '--step needs a terminal'],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await timervet(['replay', recording, ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it('answers 3 when the input cannot be read', async () => {
    const { code } = await timervet(['replay', 'traces/formats/unusable/nocontext.txt']);
    expect(code).toBe(3);
  });

  it('ends quietly when its reader does', () => {
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', '"$0" "$1" replay "$2" | head -n 2', process.execPath, launcher, recording],
      {
        cwd: root,
        encoding: 'utf8',
      },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
