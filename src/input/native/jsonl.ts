import type { Cell } from '../../events/native.js';
import { columnIndex, columns } from '../../events/native-columns.js';
import { explainRow, factsSchema, namedCells } from '../../events/native-schema.js';
import { InputError } from '../errors.js';
import type { Reader } from '../record.js';
import { Lines } from './lines.js';
import { type NativeSink, RowSink, unknownValue } from './rows.js';

/** Reads the JSONL form of the native notation: one object a line. */
export class NativeJsonlReader implements Reader {
  private readonly lines = new Lines((line) => this.line(line));
  private readonly rows: RowSink;
  private readonly cells: Cell[] = columns.map(() => undefined);

  constructor(sink: NativeSink) {
    this.rows = new RowSink(sink, (cells, origin) => explainRow(namedCells(cells), origin));
  }

  /** @throws InputError for a row that is not valid */
  push(chunk: Uint8Array): void {
    try {
      this.lines.push(chunk);
    } finally {
      this.rows.count();
    }
  }

  /** @throws InputError for a last row that is not valid */
  end(): void {
    try {
      this.lines.end();
    } finally {
      this.rows.count();
    }
  }

  private line(bytes: Uint8Array): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString().trim();
    if (text === '' || text.startsWith('#')) return;
    const row = this.parse(text);
    if (row.event === undefined && Object.keys(row).some((key) => Object.hasOwn(factsSchema.shape, key))) {
      this.fact(row);
      return;
    }
    const { cells } = this;
    cells.fill(undefined);
    for (const key of Object.keys(row)) {
      const column = columnIndex.get(key);
      const cell = row[key];
      if (column === undefined || (typeof cell === 'object' && cell !== null)) this.fail(explainRow(row));
      cells[column] = cell as Cell;
    }
    this.rows.row(cells, this.lines.number);
  }

  private parse(text: string): Record<string, unknown> {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      this.fail(`expected a JSON object; ${(error as Error).message}`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.fail(`expected a JSON object, found ${text.slice(0, 60)}`);
    }
    return value as Record<string, unknown>;
  }

  private fact(row: Record<string, unknown>): void {
    const facts = factsSchema.safeParse(row);
    const issue = facts.error?.issues[0];
    const hint = '(a line without "event" states facts of the recording)';
    if (issue !== undefined) {
      const place = issue.path.length > 0 ? `field "${String(issue.path[0])}": ` : '';
      this.fail(`${place}${issue.message} ${hint}`);
    }
    for (const [name, value] of Object.entries(facts.data ?? {}) as [string, string | number][]) {
      if (this.rows.fact(name, value, this.lines.number)) continue;
      this.fail(`field "${name}": ${unknownValue(value)} ${hint}`);
    }
  }

  private fail(message: string): never {
    throw new InputError(`line ${this.lines.number}: ${message}`);
  }
}
