import { InputError } from './errors.js';
import { traceDatMagic } from './random-access.js';
import { PerfPrefix } from './text/perf.js';
import { Prefix } from './text/prefix.js';

const formats = ['ftrace', 'perf-script', 'console', 'native-csv', 'native-jsonl', 'trace-dat', 'perf-data'] as const;

/** Name of a format. */
export type Format = (typeof formats)[number];

/** Every format that is recognised, by the name that `--input-format` takes. */
export const inputFormats: readonly string[] = formats;

/** Whether a name is that of a format. */
export function isFormat(name: string): name is Format {
  return inputFormats.includes(name);
}

/** A format shows itself within this many bytes, or not at all. */
const enough = 65_536;

/** How much of an offending line a message shows. */
const shown = 80;

/** Binary formats by their first bytes. */
const magics: readonly {
  readonly bytes: string;
  readonly format?: Format;
  readonly name: string;
  readonly advice: string;
}[] = [
  { bytes: traceDatMagic, format: 'trace-dat', name: 'a trace.dat file', advice: '' },
  { bytes: 'PERFILE2', format: 'perf-data', name: 'a perf.data file', advice: '' },
  {
    bytes: '\x28\xb5\x2f\xfd',
    name: 'zstd compressed',
    advice: 'decompress it first: `zstd -dc FILE | timervet check -`',
  },
  { bytes: '\xfd7zXZ\x00', name: 'xz compressed', advice: 'decompress it first: `xz -dc FILE | timervet check -`' },
  { bytes: 'BZh', name: 'bzip2 compressed', advice: 'decompress it first: `bzip2 -dc FILE | timervet check -`' },
  { bytes: 'PK\x03\x04', name: 'a zip archive', advice: 'unpack it first' },
  { bytes: '\xff\xfe', name: 'UTF-16 text', advice: 'convert it first: `iconv -f UTF-16 -t UTF-8 FILE`' },
  { bytes: '\xfe\xff', name: 'UTF-16 text', advice: 'convert it first: `iconv -f UTF-16 -t UTF-8 FILE`' },
];

const byteOrderMark = '\u00ef\u00bb\u00bf';

const expected =
  'expected ftrace text (tracefs `trace`, `trace_pipe`, `trace-cmd report`), `perf script` text, a kernel log with an ' +
  'ftrace dump, a trace.dat, or the native CSV or JSON Lines notation';

/**
 * The format of an input, by its content.
 *
 * @param head  the bytes read so far, from the beginning
 * @param atEnd whether the input ends there
 * @returns undefined when more bytes are needed; never with `atEnd` or 64 KiB of them.
 * @throws InputError when the input is nothing that can be checked.
 */
export function detectFormat(head: Uint8Array, atEnd: boolean): Format | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, enough));
  const isWhole = atEnd || head.byteLength >= enough;
  if (bytes.length === 0) {
    if (atEnd) throw new InputError('the input is empty: a recording with at least one event was expected');
    return undefined;
  }
  const text = bytes.toString('latin1');
  for (const magic of magics) {
    if (text.startsWith(magic.bytes)) {
      if (magic.format !== undefined) return magic.format;
      throw new InputError(`the input is ${magic.name}: ${magic.advice}`);
    }
    if (!isWhole && magic.bytes.startsWith(text)) return undefined;
  }
  const survey = new Survey();
  let start = text.startsWith(byteOrderMark) ? byteOrderMark.length : 0;
  while (start < text.length) {
    const newline = text.indexOf('\n', start);
    // An unfinished line may yet become anything, unless nothing more comes.
    if (newline < 0 && !isWhole) return undefined;
    const end = newline < 0 ? text.length : newline;
    const format = survey.line(text.slice(start, withoutReturns(text, start, end)), bytes, start, end);
    if (format !== undefined) return format;
    start = end + 1;
  }
  return isWhole ? survey.conclude() : undefined;
}

/** What the lines so far say. */
class Survey {
  private readonly ftrace = new Prefix();
  private readonly perf = new PerfPrefix();
  private number = 0;
  private isFirst = true;
  private hasTracer = false;
  private hasLog = false;
  private first: Found | undefined;
  private withoutContext: Found | undefined;
  private raw: Found | undefined;

  /** @returns the format when this line settles it. */
  line(line: string, bytes: Uint8Array, start: number, end: number): Format | undefined {
    this.number++;
    if (line.trim() === '') return undefined;
    if (line.includes('\0'))
      throw this.error(
        'found binary data',
        'give a trace.dat as it is, or export the recording as text, e.g. with `perf script`',
      );
    if (line.startsWith('#')) return this.comment(line);
    if (this.isFirst) {
      this.isFirst = false;
      if (line.startsWith('{')) return 'native-jsonl';
      if (isCsvHeader(line)) return 'native-csv';
    }
    if (/Dumping ftrace (?:instance .{1,200} )?buffer:/.test(line)) return 'console';
    if (isLogLine(line)) {
      this.hasLog = true;
      return undefined;
    }
    if (this.ftrace.read(bytes, start, end) >= 0) return 'ftrace';
    if (this.perf.read(bytes, start, end) >= 0) return 'perf-script';
    return this.other(line);
  }

  /** The verdict when nothing settled it. */
  conclude(): Format {
    if (this.hasLog) return 'console';
    if (this.raw) {
      throw this.error(
        'expected events, found numbers of the tracefs option `raw`',
        'clear options/raw (`echo 0 > /sys/kernel/tracing/options/raw`), or record with trace-cmd',
        this.raw,
      );
    }
    if (this.withoutContext) {
      throw this.error(
        'expected task, CPU and time before each event, found none',
        'set options/context-info (`echo 1 > /sys/kernel/tracing/options/context-info`) and record again',
        this.withoutContext,
      );
    }
    if (this.first) {
      throw this.error(
        `${expected}, found none of them`,
        'give the text of a recording as the tool printed it (perf script needs the fields comm, tid, cpu, time, event and trace)',
        this.first,
      );
    }
    // A trace without an event is a trace.
    if (this.hasTracer) return 'ftrace';
    throw new InputError(`${expected}, found only blank lines and comments: record while a guest runs`);
  }

  private comment(line: string): Format | undefined {
    const tracer = /^# tracer: (\S+)/.exec(line)?.[1];
    if (tracer?.startsWith('function_graph')) throw this.graph(line);
    if (tracer !== undefined) this.hasTracer = true;
    return undefined;
  }

  private other(line: string): undefined {
    const found = { number: this.number, line };
    if (isGraphLine(line)) throw this.graph(line);
    if (
      /^(?:.{1,60}: )?cpus=\d+$|^version = \d+$|(?:^|: )CPU \d+ is empty$|CPU:\d+ \[(?:LOST \d+ EVENTS|(?:\d+ )?EVENTS DROPPED)\]/.test(
        line,
      )
    ) {
      this.hasTracer = true;
    } else if (/^-?\d+ \d+ \d+ type: \d+/.test(line)) {
      this.raw ??= found;
    } else if (/^[a-z_][a-z0-9_]*: \S/.test(line) && (this.hasTracer || isKnownEvent(line))) {
      this.withoutContext ??= found;
    } else {
      this.first ??= found;
    }
    return undefined;
  }

  private graph(line: string): InputError {
    return this.error(
      'expected events, found output of the function_graph tracer',
      'record the kvm, irq, timer and sched events with current_tracer set to nop',
      { number: this.number, line },
    );
  }

  private error(what: string, advice: string, found?: Found): InputError {
    const place = `line ${found?.number ?? this.number}`;
    return new InputError(`${place}: ${what}${found ? ` (\`${excerpt(found.line)}\`)` : ''}: ${advice}`);
  }
}

/** A line worth showing. */
interface Found {
  readonly number: number;
  readonly line: string;
}

/** Where a line ends before its carriage returns. By hand: a pattern would look from each one in the line to its end. */
function withoutReturns(text: string, start: number, end: number): number {
  let last = end;
  while (last > start && text[last - 1] === '\r') last--;
  return last;
}

function isCsvHeader(line: string): boolean {
  return line.includes(',') && line.split(',').some((cell) => /^\s*"?event"?\s*$/.test(cell));
}

/** `[   12.417420] …`, `<4>[   12.417420][    T1] …`, `Nov 22 12:00:00 host kernel: …` */
function isLogLine(line: string): boolean {
  return /^\s*(?:<\d{1,3}>)?\[ *\d+\.\d{6}\]/.test(line) || /^\S.{5,60} kernel: /.test(line);
}

/** ` 0)   0.123 us    |  kvm_timer_vcpu_load();`, ` 1)               |  kvm_arch_vcpu_load() {` */
function isGraphLine(line: string): boolean {
  return /^\s*(?:\d+\.\d+ +\| +)?\d+\) [^|]*\|[^{;}]*[{;}]/.test(line);
}

function isKnownEvent(line: string): boolean {
  return /^(?:kvm|irq|hrtimer|sched|vgic|timer|softirq)_[a-z0-9_]+: /.test(line);
}

function excerpt(line: string): string {
  // The bytes were taken as latin1 to keep positions; a message shows what the author wrote.
  const text = Buffer.from(line.slice(0, 4 * shown), 'latin1').toString('utf8');
  const printable = text
    .replace(/[^\x20-\x7e\u00a0-\uffff]/g, '.')
    .replace(/\ufffd/g, '.')
    .trim();
  return printable.length > shown ? `${printable.slice(0, shown)}…` : printable;
}
