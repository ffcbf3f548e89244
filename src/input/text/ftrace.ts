import type { Catalogue } from '../catalogue.js';
import type { RecordSink } from '../record.js';
import { FtraceLine, longSilence } from './ftrace-line.js';
import { LineReader } from './lines.js';
import { Notes } from './notes.js';
import { Result } from './scanner.js';

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
    let start = from;
    let records: number;
    do {
      records = scanner.next(start, to, longSilence);
      this.event.deliverKnown(records, this.lineNumber);
      const lines = scanner.results[Result.lines]!;
      this.lineNumber += lines;
      this.records += lines;
      start = scanner.results[Result.start]!;
    } while (records === scanner.mostRecords);
    return start;
  }

  protected finish(): void {
    this.event.finish();
  }
}
