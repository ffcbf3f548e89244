import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../errors.js';

/** A field of an event as the kernel lays it out in a record. */
export interface FormatField {
  readonly name: string;
  /** Declaration, `unsigned long vcpu_pc`, `__data_loc char[] name`. */
  readonly type: string;
  /** Bytes from the record's start (its common_type). */
  readonly offset: number;
  readonly size: number;
  readonly isSigned: boolean;
}

/** An event as the recorded kernel describes it (`events/SYSTEM/EVENT/format`). */
export interface EventFormat {
  readonly system: string;
  readonly name: string;
  /** `common_type` of its records. */
  readonly id: number;
  /** Its own fields, without the common ones. */
  readonly fields: readonly FormatField[];
}

/** Names and numbers that a format begins with stand in so many bytes. */
const headLength = 512;

/** Fields of a format stand in so many bytes: a record is no longer than a page. What follows is how to print them. */
const fieldsLength = 256 * 1024;

/** Longest declaration of a field. */
const longestDeclaration = 300;

/** Most fields of all events that may be wanted: a probe has at most 128 (MAX_TRACE_ARGS). */
const mostFields = 200_000;

/** More formats of one event than appended parts of a recording make. */
const mostOfOneName = 64;

/** Event numbers are 16 bits in a record. */
const mostEvents = 0x10000;

/** A record's common fields, which the walk over a page reads without looking at a format. */
const commonFields: readonly { readonly name: string; readonly offset: number; readonly size: number }[] = [
  { name: 'common_type', offset: 0, size: 2 },
  { name: 'common_flags', offset: 2, size: 1 },
  { name: 'common_pid', offset: 4, size: 4 },
];

/** What is kept of a format: its fields only where its records may be wanted. */
interface Known {
  readonly system: string;
  /** Nothing where several events have the id. */
  readonly name: string | undefined;
  readonly fields: readonly FormatField[] | undefined;
}

/** What has an id with another event. */
const ambiguous: Known = { system: '', name: undefined, fields: undefined };

/** The event formats of a file. Ids and offsets differ from kernel to kernel, so nothing is known without them. */
export class Formats {
  private readonly known = new Map<number, Known>();
  private fields = 0;
  private readonly counts = new Map<string, number>();
  private readonly wants: (name: string) => boolean;
  private checkedCommon = false;

  /** @param wants whether the fields of an event of this name may be asked for */
  constructor(wants: (name: string) => boolean) {
    this.wants = wants;
  }

  /**
   * Adds one format text.
   *
   * @throws InputError when records of this file cannot be read as those of any kernel so far
   */
  add(system: string, text: Buffer): void {
    const head = text.toString('latin1', 0, headLength);
    const name = /^name: (\S+)$/m.exec(head)?.[1];
    const id = Number(/^ID: (\d+)$/m.exec(head)?.[1] ?? Number.NaN);
    if (name === undefined || !(id < mostEvents)) return;
    if (!this.checkedCommon) this.checkCommon(name, text);
    const fields = this.wants(name) || isProbe(text) ? parseFields(text) : undefined;
    this.fields += fields?.length ?? 0;
    if (fields !== undefined) this.checkCount(system, name);
    if (this.fields > mostFields)
      throw new InputError(`format of event ${name}: expected at most ${mostFields} fields in all formats, found more`);
    const other = this.known.get(id);
    // Whose records they are cannot be told.
    const isOther = other !== undefined && (other.name !== name || !isDeepStrictEqual(other.fields, fields));
    this.known.set(id, isOther ? ambiguous : { system, name, fields });
  }

  /** Name of an event; undefined where the file has no such id. */
  name(id: number): string | undefined {
    return this.known.get(id)?.name;
  }

  get size(): number {
    return this.known.size;
  }

  /** The formats that may be wanted, their fields taken apart. */
  *wanted(): Iterable<EventFormat> {
    for (const [id, { system, name, fields }] of this.known) {
      if (name !== undefined && fields !== undefined) yield { system, name, id, fields };
    }
  }

  /** A name has one format in each system, whatever id it has there. */
  private checkCount(system: string, name: string): void {
    const key = `${system}:${name}`;
    const count = (this.counts.get(key) ?? 0) + 1;
    if (count > mostOfOneName)
      throw new InputError(
        `format of event ${key}: expected one, found more than ${mostOfOneName}: copy the file again`,
      );
    this.counts.set(key, count);
  }

  private checkCommon(name: string, text: Buffer): void {
    this.checkedCommon = true;
    const fields = allFields(text);
    for (const { name: common, offset, size } of commonFields) {
      const field = fields.find((candidate) => candidate.name === common);
      if (field?.offset === offset && field.size === size) continue;
      const found = field === undefined ? 'none' : `offset ${field.offset}, size ${field.size}`;
      throw new InputError(
        `format of event ${name}: expected ${common} at offset ${offset} with size ${size}, found ${found}: records of ` +
          'this kernel cannot be read; give the output of `trace-cmd report -N -t -i FILE`',
      );
    }
  }
}

/** Probes are recognised by their fields: their names are their users' choice. */
function isProbe(text: Buffer): boolean {
  return text.includes('__probe_');
}

/** Of one line: over the lines of a whole text the blanks at its beginning would be looked at time and again. */
const fieldLine = /^\s*field:([^;]*);\s*offset:(\d{1,9});\s*size:(\d{1,9});(?:\s*signed:(\d);)?/;

function allFields(text: Buffer): FormatField[] {
  const fields: FormatField[] = [];
  for (const line of text.toString('latin1', 0, fieldsLength).split('\n')) {
    if (line.startsWith('print fmt:')) break;
    const [, declaration, offset, size, signed] = fieldLine.exec(line) ?? [];
    if (declaration === undefined || declaration.length > longestDeclaration) continue;
    const name = nameIn(declaration);
    if (name === undefined) continue;
    fields.push({
      name: flat(name),
      type: flat(declaration.trim()),
      offset: Number(offset),
      size: Number(size),
      // Very old kernels do not say it; their types do.
      isSigned: signed === undefined ? !/\b(?:unsigned|u8|u16|u32|u64|bool)\b|\*/.test(declaration) : signed === '1',
    });
  }
  return fields;
}

/** The last word of a declaration, before an array's length. */
function nameIn(declaration: string): string | undefined {
  const whole = declaration.trimEnd();
  const rest = whole.endsWith(']') ? whole.slice(0, Math.max(0, whole.lastIndexOf('['))).trimEnd() : whole;
  let start = rest.length;
  while (start > 0 && /[\w$]/.test(rest[start - 1]!)) start--;
  return /[A-Za-z_$].*/.exec(rest.slice(start))?.[0];
}

/** A string of its own: a part of another one would keep all of that. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

function parseFields(text: Buffer): FormatField[] {
  return allFields(text).filter(({ name }) => !name.startsWith('common_'));
}
