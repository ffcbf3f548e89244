import { designs, type ModelId, models } from '../../index.js';
import type { ModelAndDesign } from '../../report/design.js';
import { dotText } from '../../report/graph/dot.js';
import { mermaidText } from '../../report/graph/mermaid.js';
import { rvText } from '../../report/graph/rv.js';
import { modelLines, modelListLines } from '../../report/text/models.js';
import { createTheme } from '../../report/text/theme.js';
import type { ModelsCommandOptions } from '../models.js';
import type { CommandContext } from '../support/context.js';
import { didYouMean } from '../support/did-you-mean.js';
import { UsageError } from '../support/usage-error.js';

const ids = Object.keys(models) as ModelId[];
const graphs = { dot: dotText, mermaid: mermaidText, rv: rvText };

/**
 * The models to print.
 * @throws UsageError when there is none of that id
 */
function chosen(id: string | undefined): ModelAndDesign[] {
  const found = id === undefined ? ids : ids.filter((candidate) => candidate === id);
  if (id !== undefined && found.length === 0)
    throw new UsageError(`unknown model '${id}'`, didYouMean(id, ids, "'timervet models' lists all models"));
  return found.map((each) => ({ model: models[each], design: designs[each] }));
}

/** `timervet models` */
export async function runModels(
  id: string | undefined,
  { format }: ModelsCommandOptions,
  context: CommandContext,
): Promise<void> {
  const list = chosen(id);
  const output = context.stdout();
  if (format === 'json') {
    const { modelsJson } = await import('../../report/json/models.js');
    await output.write(modelsJson(list, context.version));
  } else if (format === 'text') {
    const theme = await createTheme(output.color);
    const [first] = list as [ModelAndDesign];
    const lines =
      id === undefined ? modelListLines(list, theme, output.columns) : modelLines(first, theme, output.columns);
    await output.write(`${lines.join('\n')}\n`);
  } else {
    const [only] = list as [ModelAndDesign];
    if (id === undefined)
      throw new UsageError(
        `--format ${format} prints one model`,
        `name one, such as 'timervet models ${only.model.id} --format ${format}'`,
      );
    await output.write(graphs[format](only));
  }
}
