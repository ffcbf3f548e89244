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

/** Event numbers are 16 bits in a record. */
const mostEvents = 0x10000;

/** A record's common fields, which the walk over a page reads without looking at a format. */
const commonFields: readonly { readonly name: string; readonly offset: number; readonly size: number }[] = [
  { name: 'common_type', offset: 0, size: 2 },
  { name: 'common_flags', offset: 2, size: 1 },
  { name: 'common_pid', offset: 4, size: 4 },
];

/** The event formats of a file. Ids and offsets differ from kernel to kernel, so nothing is known without them. */
export class Formats {
  private readonly known = new Map<number, { system: string; name: string; text: Buffer | undefined }>();
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
    this.known.set(id, { system, name, text: this.wants(name) || isProbe(text) ? text : undefined });
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
    for (const [id, { system, name, text }] of this.known) {
      if (text !== undefined) yield { system, name, id, fields: parseFields(text.toString('latin1')) };
    }
  }

  private checkCommon(name: string, text: Buffer): void {
    this.checkedCommon = true;
    const fields = allFields(text.toString('latin1'));
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

const fieldLine = /^\s*field:([^;]*);\s*offset:(\d+);\s*size:(\d+);(?:\s*signed:(\d);)?/gm;

function allFields(text: string): FormatField[] {
  const fields: FormatField[] = [];
  for (const [, declaration, offset, size, signed] of text.matchAll(fieldLine)) {
    const name = /([A-Za-z_$][\w$]*)\s*(?:\[[^\]]*\])?\s*$/.exec(declaration!)?.[1];
    if (name === undefined) continue;
    fields.push({
      name,
      type: declaration!.trim(),
      offset: Number(offset),
      size: Number(size),
      // Very old kernels do not say it; their types do.
      isSigned: signed === undefined ? !/\b(?:unsigned|u8|u16|u32|u64|bool)\b|\*/.test(declaration!) : signed === '1',
    });
  }
  return fields;
}

function parseFields(text: string): FormatField[] {
  return allFields(text).filter(({ name }) => !name.startsWith('common_'));
}
