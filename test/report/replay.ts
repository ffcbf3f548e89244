import type { Fact } from '../../src/check/facts.js';
import type { ReportFormat } from '../../src/report/formats.js';
import type { Output } from '../../src/report/output.js';
import { createReporter, type ReporterOptions } from '../../src/report/reporter.js';

/** An output that keeps what is written, and that can be closed as by a reader that goes away. */
export interface MemoryOutput extends Output {
  text: string;
  closed: boolean;
}

export function memoryOutput(overrides: Partial<MemoryOutput> = {}): MemoryOutput {
  return {
    columns: 100,
    color: false,
    closed: false,
    text: '',
    async write(text) {
      if (!this.closed) this.text += text;
    },
    async close() {},
    ...overrides,
  };
}

const defaults: ReporterOptions = { version: '0.0.0', inputs: 1, failOn: 'warning', detail: 'normal' };

/** What a reporter writes for a stream of facts. */
export async function replay(
  format: ReportFormat,
  facts: readonly Fact[],
  options: Partial<ReporterOptions> = {},
  output = memoryOutput(),
): Promise<string> {
  const reporter = await createReporter(format, output, { ...defaults, ...options });
  for (const fact of facts) await reporter.fact(fact);
  await reporter.end();
  return output.text;
}
