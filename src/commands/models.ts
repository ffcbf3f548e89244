import { type Command, Option } from 'commander';
import { designFormats } from '../report/formats.js';
import type { CommandContext } from './support/context.js';

/** Options of `timervet models` as the command line gives them. */
export interface ModelsCommandOptions {
  readonly format: (typeof designFormats)[number];
}

const help = `
Without a model it lists them: the kernels that have it, how a recording shows that it is of that kind, and what a trace
can show. With a model it prints the states of a vcpu, what leads from one to another, and what each kernel function does.

Formats:
  text     for people
  json     described by schemas/models.schema.json
  dot      the states as a graph for Graphviz
  mermaid  the states as a Mermaid state diagram
  rv       the states as rvgen of the Linux kernel (tools/verification) reads them, to watch a live kernel

Exit codes:
  0    printed
  2    wrong usage, or no such model
  70   internal error

Examples:
  $ timervet models
  $ timervet models timer-map
  $ timervet models offset --format dot | dot -Tsvg > offset.svg
  $ timervet models offset --format rv > kvm_vcpu_timer.dot
  $ rvgen monitor -c da -s kvm_vcpu_timer.dot -t per_task`;

/** `timervet models [MODEL]` */
export function registerModels(program: Command, context: CommandContext): void {
  program
    .command('models')
    .summary('list the kernel models, or print one')
    .description('Prints the models of the timer code by kernel generation: states, transitions, effects.')
    .argument('[model]', 'id of a model')
    .addOption(new Option('--format <name>', 'how to print it').choices(designFormats).default('text'))
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet models --help' shows usage and examples")
    .action(async (id: string | undefined, options: ModelsCommandOptions) => {
      const { runModels } = await import('./run/index.js');
      await runModels(id, options, context);
    });
}
