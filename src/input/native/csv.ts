import { Parser } from 'csv-parse';
import type { Cell } from '../../events/native.js';
import { columnIndex, columns } from '../../events/native-columns.js';
import { explainRow, explainUnknownField, namedCells } from '../../events/native-schema.js';
import { InputError } from '../errors.js';
import type { Reader } from '../record.js';
import { Lines } from './lines.js';
import { type NativeSink, RowSink, unknownValue } from './rows.js';

/** What is no fact is a comment; in a hand-written trace also what has not the form of its fact. */
const directive =
  /^#\s*(model|host|kernel|clock|cpus|frequency|count|recording|recorded|origin|timer-names|condition|cpu-end|records)\s*:/;

/** Reads the CSV form of the native notation. */
export class NativeCsvReader implements Reader {
  private readonly lines = new Lines((line) => this.line(line));
  private readonly rows: RowSink;
  private readonly parser: Parser;
  /** Cells of the line that the parser was given, undefined while it has not delivered them. */
  private record: string[] | undefined;
  /** By position in the row: index of the column, or -1 for a column without a name. */
  private header: number[] | undefined;
  private readonly cells: Cell[] = columns.map(() => undefined);

  constructor(sink: NativeSink) {
    this.rows = new RowSink(sink, (cells, origin) => explainRow(namedCells(cells), origin));
    this.parser = new Parser({
      record_delimiter: '\n',
      trim: true,
      skip_empty_lines: true,
      relax_column_count: true,
      on_record: (record: string[]) => {
        this.record = record;
        // Nothing is left for the stream to hand on.
        return undefined;
      },
    });
  }

  /** @throws InputError for a row that is not valid */
  push(chunk: Uint8Array): void {
    try {
      this.lines.push(chunk);
    } finally {
      this.rows.count();
    }
  }

  /** @throws InputError for a last row that is not valid, or when there was no header */
  end(): void {
    try {
      this.lines.end();
    } finally {
      this.rows.count();
    }
    if (this.header === undefined) {
      throw new InputError('expected a header row that names the columns (at least "event"), found none');
    }
  }

  private line(bytes: Uint8Array): void {
    const first = firstVisible(bytes);
    if (first < 0) return;
    if (bytes[first] === hash) this.comment(Buffer.from(bytes.subarray(first)).toString());
    else this.split(bytes);
  }

  /** @throws InputError when a converted recording states what cannot be read: it may be a loss */
  private comment(text: string): void {
    const [start, name] = directive.exec(text) ?? [];
    if (start === undefined || name === undefined) return;
    const { number } = this.lines;
    const value = withoutEnd(text.slice(start.length));
    if (value !== '' && this.rows.fact(name, value, number)) return;
    if (this.rows.isRecording) throw new InputError(`line ${number}: "${name}": ${unknownValue(value)}`);
  }

  private split(bytes: Uint8Array): void {
    const { number } = this.lines;
    // Nearly every row of a converted recording is without quotes, and the parser takes its time with any.
    const record = bytes.includes(quote) ? this.parse(bytes, number) : cellsOf(bytes);
    if (this.header === undefined) this.header = this.readHeader(record);
    else this.readRow(record, this.header);
  }

  /**
   * A row is one line, and the parser gets it in one call, so that its cells are there when the call returns:
   * written to as a stream, the parser would hand them out on a later tick. It keeps a few bytes back to look
   * ahead, hence the blank lines. A quote that is left open shows in the row where it is.
   */
  private parse(bytes: Uint8Array, number: number): string[] {
    this.record = undefined;
    // A buffer of its own: the parser keeps a view of its last bytes.
    const text = Buffer.allocUnsafe(bytes.length + 1 + lookAhead);
    text.set(bytes);
    text.fill('\n', bytes.length);
    const errors: Error[] = [];
    this.parser._transform(text, 'utf8', (error) => {
      if (error) errors.push(error);
    });
    if (errors.length > 0) {
      // The parser's own message counts the blank lines.
      throw new InputError(`line ${number}: expected quotes only around a whole cell, found one elsewhere`);
    }
    if (this.record === undefined)
      throw new InputError(`line ${number}: expected a closing quote, found the end of the line`);
    return this.record;
  }

  private readHeader(names: readonly string[]): number[] {
    const { number } = this.lines;
    const header = names.map((name) => {
      if (name === '') return -1;
      const column = columnIndex.get(name);
      if (column === undefined) throw new InputError(`line ${number}: header: ${explainUnknownField(name)}`);
      return column;
    });
    const twice = names.find((name, i) => name !== '' && names.indexOf(name) < i);
    if (twice !== undefined)
      throw new InputError(`line ${number}: header: expected each column once, found "${twice}" twice`);
    if (!names.includes('event')) {
      throw new InputError(`line ${number}: header: expected a column "event", found ${names.join(', ')}`);
    }
    return header;
  }

  private readRow(record: readonly string[], header: readonly number[]): void {
    const { cells } = this;
    cells.fill(undefined);
    let filled = 0;
    for (let i = 0; i < record.length; i++) {
      const text = record[i]!;
      if (text === '') continue;
      filled++;
      const column = header[i] ?? -1;
      if (column < 0) {
        throw new InputError(
          `line ${this.lines.number}: expected at most ${header.length} cells as in the header, found "${text}" in cell ${i + 1}, which has no column`,
        );
      }
      cells[column] = text;
    }
    // A row of commas is how a spreadsheet writes a blank line.
    if (filled > 0) this.rows.row(cells, this.lines.number);
  }
}

/** More bytes than the parser keeps back: the longest blank in UTF-8 has three. */
const lookAhead = 7;

const hash = 0x23;
const quote = 0x22;

/** The cells of a row without quotes. */
function cellsOf(bytes: Uint8Array): string[] {
  const cells = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString().split(',');
  for (let i = 0; i < cells.length; i++) if (cells[i] !== '') cells[i] = cells[i]!.trim();
  return cells;
}

/** A value without blanks around it, and without the commas that a spreadsheet adds to each line. */
function withoutEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /[\s,]/.test(text[end - 1]!)) end--;
  return text.slice(0, end).trimStart();
}

/** Index of the first byte that is not blank, -1 when there is none. */
function firstVisible(bytes: Uint8Array): number {
  return bytes.findIndex((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d);
}
