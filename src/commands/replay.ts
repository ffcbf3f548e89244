import { type Command, InvalidArgumentError, Option } from 'commander';
import { type KindName, kindNames } from '../events/kinds.js';
import { type ModelId, modelIds } from '../models/model.js';
import type { CommandContext } from './support/context.js';

/** Options of `timervet replay` as the command line gives them. */
export interface ReplayCommandOptions {
  readonly vcpu?: { readonly id: number; readonly vm?: number };
  readonly cpu?: number;
  readonly kind?: readonly KindName[];
  readonly from?: number;
  readonly to?: number;
  readonly around?: string;
  readonly window: number;
  readonly effects: boolean;
  readonly verbose?: boolean;
  readonly step?: boolean;
  readonly wave?: boolean;
  readonly model?: ModelId;
  readonly host?: 'vhe' | 'nvhe';
  readonly inputFormat?: string;
}

function vcpuName(text: string): ReplayCommandOptions['vcpu'] {
  const [, vm, id] = /^(?:(\d{1,6})\.)?(\d{1,6})$/.exec(text) ?? [];
  if (id === undefined) throw new InvalidArgumentError('Expected a vcpu id, 1, or one of a VM, 0.1.');
  return vm === undefined ? { id: Number(id) } : { id: Number(id), vm: Number(vm) };
}

function cpuNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('Expected the number of a CPU.');
  return Number(text);
}

function seconds(text: string): number {
  if (!/^\d{1,12}(\.\d{1,9})?$/.test(text)) throw new InvalidArgumentError("Expected seconds in the trace's clock.");
  return Number(text);
}

function milliseconds(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1e9)) throw new InvalidArgumentError('Expected milliseconds above 0.');
  return value;
}

function addKinds(text: string, before: readonly KindName[] = []): readonly KindName[] {
  const names = text.split(',').map((name) => {
    const known = kindNames.find((kind) => kind === name.trim());
    if (known === undefined) throw new InvalidArgumentError(`"${name}" is no kind of event: ${kindNames.join(', ')}.`);
    return known;
  });
  return [...before, ...names];
}

const help = `
A line is an event and what is known after it: the vcpu as VM.ID, where it is and on which CPU it is loaded, whether
its virtual timer is in hardware or in memory, CTL (E enable, I imask, S istatus) and CVAL as last restored or saved ('?'
while the guest may have changed them), the line's level as a waveform, the background timer. What has changed has a
star behind it, and is bold where there are colours.
Before an event, + says that it follows from records, ~ that it is placed by a neighbouring record.
Below an event is what the kernel's timer code did until its next record, by the model that fits: = a record of its own
shows it, + it follows from what is known, ? nothing tells and the usual case is taken.

Exit codes:
  0    every input could be read
  2    wrong usage
  3    an input could not be read
  70   internal error
  130  interrupted

Examples:
  $ timervet replay --vcpu 0 trace.dat
  $ timervet replay --from 32.7 --to 32.8 --kind save,restore,update_irq trace.dat
  $ timervet replay --around 1 trace.dat          the first finding of 'timervet check'
  $ timervet replay --wave --from 32.7 --to 32.8 trace.dat
  $ timervet replay --step trace.dat              space and arrows go on and back`;

/** `timervet replay TRACE` */
export function registerReplay(program: Command, context: CommandContext): void {
  program
    .command('replay')
    .summary('show a recording event by event, with the state of its timers')
    .description('Shows a recording event by event, with what is known of each vcpu and its timer after it.')
    .argument('<trace>', "recording in any supported format; '-' is standard input")
    .option('--vcpu <id>', 'only this vcpu, 1, or 0.1 of VM 0', vcpuName)
    .option('--cpu <n>', 'only what this CPU recorded', cpuNumber)
    .option('--kind <kinds>', 'only these kinds of events, separated by commas; repeatable', addKinds)
    .option('--from <seconds>', "not before this time of the trace's clock", seconds)
    .option('--to <seconds>', 'not after this time', seconds)
    .addOption(
      new Option(
        '--around <finding>',
        "around a finding of 'timervet check': its number from 1, or fingerprint",
      ).conflicts(['from', 'to']),
    )
    .option('--window <ms>', 'how far before and after it', milliseconds, 1)
    .option('--wave', "each vcpu's timer as a waveform across the page, instead of the events")
    .option('--no-effects', 'without what the model did between the events')
    .option('-v, --verbose', "also each record, its thread, and effects that only change the kernel's memory")
    .option('--step', 'a page at a time, forward and back; needs a terminal')
    .addOption(new Option('--model <id>', 'kernel model (default: chosen by the trace)').choices(modelIds))
    .addOption(new Option('--host <type>', 'host type (default: chosen by the trace)').choices(['vhe', 'nvhe']))
    .option('--input-format <id>', 'format of the recording (default: recognised by its content)')
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet replay --help' shows usage and examples")
    .action(async (path: string, options: ReplayCommandOptions) => {
      const { runReplay } = await import('./run/index.js');
      context.exitCode = await runReplay(path, options, context);
    });
}
