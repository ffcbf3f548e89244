import type { Catalogue } from '../catalogue.js';
import type { RecordSink } from '../record.js';
import { FtraceLine, longSilence } from './ftrace-line.js';
import { LineReader } from './lines.js';
import { Notes } from './notes.js';
import { Line, Result } from './scanner.js';

/**
 * Text of ftrace: the tracefs files `trace` and `trace_pipe`, and all forms of `trace-cmd report`
 * (specification §3.7).
 */
export class FtraceReader extends LineReader {
  private readonly event: FtraceLine;
  private readonly notes: Notes;

  constructor(catalogue: Catalogue, sink: RecordSink) {
    super(sink);
    this.event = new FtraceLine(this.scanner, catalogue, sink);
    this.notes = new Notes(
      sink,
      (cpu, position) => this.event.startCpu(cpu, position),
      () => !this.event.isFirst,
    );
  }

  protected line(bytes: Buffer, start: number, end: number): void {
    if (this.event.parse(bytes, start, end)) {
      this.records++;
      this.event.deliver(bytes, end, this.lineNumber, this.notes.isOverwritten);
    } else if (!this.notes.read(bytes, start, end, this.lineNumber)) {
      this.notUnderstood();
    }
  }

  protected override known(from: number, to: number): number {
    const { scanner } = this;
    const { results } = scanner;
    let start = from;
    for (;;) {
      const found = scanner.next(start, to, longSilence);
      const lines = results[Result.lines]!;
      this.lineNumber += lines;
      this.records += lines;
      if (found !== Line.record) return results[Result.start]!;
      this.lineNumber++;
      this.records++;
      this.event.deliverKnown(this.lineNumber);
      start = results[Result.newline]! + 1;
    }
  }

  protected finish(): void {
    this.event.finish();
  }
}
