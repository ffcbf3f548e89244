import type { Episode, TraceFailure, TraceSummary } from '../../src/check/facts.js';
import { check, convert, type Input, openSource } from '../../src/index.js';
import type { NativeForm } from '../../src/report/formats.js';
import { NativeWriter } from '../../src/report/native/writer.js';

export function fileInput(path: string): Input {
  return { path, open: () => openSource(path) };
}

function textInput(text: string): Input {
  return {
    path: 'converted',
    async *open() {
      yield Buffer.from(text);
    },
  };
}

/** The text that an input is converted to. */
export async function converted(input: Input, form: NativeForm): Promise<string> {
  const writer = new NativeWriter(form);
  let text = '';
  for await (const _ of convert(input, writer)) text += writer.taken();
  return text;
}

async function checked(input: Input): Promise<TraceSummary | TraceFailure> {
  for await (const fact of check([input])) {
    if (fact.type === 'trace-end') return fact.summary;
    if (fact.type === 'trace-failed') return fact.failure;
  }
  throw new Error('neither a summary nor a failure');
}

/** An episode apart from where in the file it stands. */
function saidOf({ position: _, cause, end, ...episode }: Episode): object {
  return { ...episode, cause: cause && { ...cause, position: 0 }, end: end && { ...end, position: 0 } };
}

/** What a check says of a trace, apart from where in the file it stands. */
function said(summary: TraceSummary | TraceFailure): object {
  if ('error' in summary) return summary;
  const anywhere = (sentences: readonly string[]) => sentences.map((text) => text.replace(/first at \d+/, 'first'));
  const { path: _, format: __, recording: ___, ...rest } = summary;
  return {
    ...rest,
    model: { ...summary.model, reasons: anywhere(summary.model.reasons) },
    host: { ...summary.host, reasons: anywhere(summary.host.reasons) },
    conditions: summary.conditions.map(({ position, ...condition }) => condition),
    findings: summary.findings.map(({ position, occurrences, witness, episodes, ...finding }) => ({
      ...finding,
      ...(episodes !== undefined && {
        episodes: { ...episodes, first: saidOf(episodes.first), longest: saidOf(episodes.longest) },
      }),
      occurrences: occurrences.map(({ position: _, ...occurrence }) => occurrence),
      witness: witness.map(({ position: _, ...event }) => event),
    })),
  };
}

/** What is said of an input, and of what it is converted to, by form. */
export async function allSaid(input: Input): Promise<{ original: object; converted: Record<NativeForm, object> }> {
  const ofForm = async (form: NativeForm) => said(await checked(textInput(await converted(input, form))));
  const original = said(await checked(input));
  return { original, converted: { csv: await ofForm('csv'), jsonl: await ofForm('jsonl') } };
}
