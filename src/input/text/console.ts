import type { Catalogue } from '../catalogue.js';
import { InputError } from '../errors.js';
import type { RecordSink } from '../record.js';
import { ascii, find, textOf } from './bytes.js';
import { FtraceLine } from './ftrace-line.js';
import { LineReader } from './lines.js';
import { Notes, reportLoss } from './notes.js';

const dumping = ascii('Dumping ftrace ');
const dashes = ascii('---------------------------------');
const empty = ascii('(ftrace buffer empty)');
const microseconds = ascii('us');

const lostMark = /\bCPU:\d{1,5} \[LOST \d+ EVENTS\]/;

/** Beyond this nothing of a line is looked at. */
const longestNote = 300;

/** Where the reader is in the log. */
enum Place {
  outside,
  announced,
  inside,
}

/**
 * A kernel log with the ring buffer dumped into it (sysrq-z, oops, panic with ftrace_dump_on_oops):
 *
 *     [    5.291000] Dumping ftrace buffer:
 *     [    5.291198] ---------------------------------
 *     [    5.292575] CPU 0/KV-177     0d.h. 138729us : irq_handler_entry: irq=4 name=kvm guest timer
 *     [    5.689107] ---------------------------------
 *
 * The columns are the latency format's, behind whatever printk, syslog or a terminal put in front. Other lines
 * of the log stand before, after and in between. A log ring that wrapped has lost the frame's first line, and
 * a machine that died never printed the last.
 */
export class ConsoleReader extends LineReader {
  private readonly event: FtraceLine;
  private readonly notes: Notes;
  private place: Place = Place.outside;
  /** Dumps that held something. */
  private dumps = 0;
  private emptyDumps = 0;
  private isNewDump = true;
  private surrounding = 0;
  private firstSurrounding = 0;
  private kernelIsKnown = false;

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
    if (this.place === Place.inside ? this.inside(bytes, start, end) : this.outside(bytes, start, end)) return;
    if (this.surrounding++ === 0) this.firstSurrounding = this.lineNumber;
    if (!this.kernelIsKnown) this.findKernel(bytes, start, end);
  }

  protected override wasNeeded(): boolean {
    return this.place === Place.inside;
  }

  protected finish(): void {
    if (this.surrounding > 0) this.sink.condition('surrounding-text', this.surrounding, this.firstSurrounding);
    this.event.finish();
    if (this.dumps > 0 || this.emptyDumps > 0 || this.place !== Place.outside) return;
    throw new InputError(
      `line ${Math.max(1, this.lineNumber)}: expected \`Dumping ftrace buffer:\` and events somewhere in this kernel log, found none ` +
        'up to its end: set ftrace_dump_on_oops (or press sysrq-z) while the events are enabled and take the log again',
    );
  }

  /** @returns whether the line belongs to a dump. */
  private outside(bytes: Buffer, start: number, end: number): boolean {
    const announcement = find(bytes, start, end, dumping);
    if (announcement >= 0 && /^Dumping ftrace (?:instance .{1,200} )?buffer:/.test(textOf(bytes, announcement, end))) {
      this.place = Place.announced;
      this.isNewDump = true;
      return true;
    }
    if (this.place === Place.announced) {
      if (find(bytes, start, end, dashes) >= 0) {
        this.place = Place.inside;
        return true;
      }
      if (find(bytes, start, end, empty) >= 0) {
        this.place = Place.outside;
        this.emptyDumps++;
        return true;
      }
      return false;
    }
    // The first line of the frame was lost with the beginning of the log.
    if (this.dumps > 0 || find(bytes, start, end, microseconds) < 0 || !this.event.parse(bytes, start, end))
      return false;
    this.place = Place.inside;
    this.deliver(bytes, end);
    return true;
  }

  private inside(bytes: Buffer, start: number, end: number): boolean {
    if (this.event.parse(bytes, start, end)) {
      this.deliver(bytes, end);
      return true;
    }
    if (find(bytes, start, end, dashes) >= 0) {
      this.place = Place.outside;
      if (this.isNewDump) this.emptyDumps++;
      return true;
    }
    const text = textOf(bytes, start, end, longestNote);
    if (lostMark.test(text)) {
      this.begin();
      this.notes.loss(text, this.lineNumber);
      return true;
    }
    // printk itself ran over: some of the dump's lines are missing, of which CPU nobody knows.
    const dropped = /\*\* (\d{1,15}) printk messages dropped/.exec(text)?.[1];
    if (dropped !== undefined) reportLoss(this.sink, -1, Number(dropped), this.lineNumber);
    return dropped !== undefined || this.notes.start(text, this.lineNumber);
  }

  private deliver(bytes: Buffer, end: number): void {
    this.begin();
    this.records++;
    this.event.deliver(bytes, end, this.lineNumber, false);
  }

  /** Called before the first content of a dump counts; a second dump knows nothing of the first. */
  private begin(): void {
    if (!this.isNewDump) return;
    this.isNewDump = false;
    if (this.dumps++ === 0) return;
    this.sink.discontinuity(this.lineNumber);
    this.sink.condition('extra-dump', 1, this.lineNumber);
    this.event.restart();
  }

  /** The kernel's release, where the log names it: at boot, in an oops, in the output of `uname -a`. */
  private findKernel(bytes: Buffer, start: number, end: number): void {
    const text = textOf(bytes, start, end, longestNote);
    const found =
      /\bLinux version (\d+\.\d+\S*)/.exec(text) ??
      /^Linux \S+ (\d+\.\d+\S*) #\d/.exec(text) ??
      /(?:Not tainted|Tainted:(?: [A-Z][A-Z ]*?|.{1,80}?)) (\d+\.\d+\S*) #\d/.exec(text);
    if (!found?.[1]) return;
    this.kernelIsKnown = true;
    this.sink.fact({ kernel: found[1] });
  }
}
