import type { ConditionSink } from '../../events/conditions.js';
import { InputError } from '../errors.js';
import type { BufferLayout, Layout } from './layout.js';

/** More CPUs than a kernel has (NR_CPUS is at most 8192). */
const mostCpus = 65_536;

/** Pages (sub-buffers) that a kernel can have. */
const smallestPage = 256;
const largestPage = 1 << 22;

/** Smallest page of a machine: uncompressed pages lie at multiples of it in the file. */
const alignment = 4096;

/**
 * The buffers that are read: those with the clock of the first, because records of different clocks have no order.
 *
 * @throws InputError when a table can be no table: its pages would be taken for what they are not, or reading them would
 *   take memory or time that the file's size does not justify
 */
export function checkBuffers(layout: Layout, fileSize: number, sink: ConditionSink): BufferLayout[] {
  for (const buffer of layout.buffers) {
    checkPageSize(buffer, layout.headerPageSize);
    checkCpus(buffer);
  }
  checkOverlap(layout.buffers, fileSize);
  const clock = layout.buffers.find(({ cpus }) => cpus.length > 0)?.clock;
  return layout.buffers.filter(({ name, cpus, clock: own }) => {
    if (cpus.length === 0) return false;
    if (own === clock) return true;
    sink.condition('unread-buffer', 1, 0, `${name}: clock ${own}, not ${clock}`);
    return false;
  });
}

function nameOf({ name }: BufferLayout): string {
  return name === '' ? 'the top buffer' : `buffer ${JSON.stringify(name)}`;
}

/** @param expected that of the top buffer as the kernel describes it: other buffers can have another one */
function checkPageSize(buffer: BufferLayout, expected: number | undefined): void {
  const { name, pageSize, cpus } = buffer;
  if (!cpus.some(({ size }) => size > 0)) return;
  if (pageSize < smallestPage || pageSize > largestPage || pageSize % 8 !== 0)
    throw new InputError(
      `${nameOf(buffer)}: expected a page size of ${smallestPage} to ${largestPage} bytes, found ${pageSize}${cure}`,
    );
  if (name === '' && expected !== undefined && pageSize !== expected)
    throw new InputError(
      `${nameOf(buffer)}: expected a page size of ${expected} bytes, as header_page says, found ${pageSize}${cure}`,
    );
}

function checkCpus(buffer: BufferLayout): void {
  const seen = new Set<number>();
  const grain = Math.min(buffer.pageSize, alignment);
  for (const { cpu, offset, size } of buffer.cpus) {
    if (cpu >= mostCpus)
      throw new InputError(`${nameOf(buffer)}: expected a CPU below ${mostCpus}, found ${cpu}${cure}`);
    if (seen.has(cpu)) throw new InputError(`${nameOf(buffer)}: expected each CPU once, found CPU ${cpu} twice${cure}`);
    seen.add(cpu);
    // trace-cmd begins each CPU's pages at a page of the file, so that they can be mapped; chunks lie anywhere.
    if (!buffer.isCompressed && size > 0 && offset % grain !== 0)
      throw new InputError(
        `${nameOf(buffer)}: expected the pages of CPU ${cpu} at a multiple of ${grain} bytes, found byte ${offset}${cure}`,
      );
  }
}

/** Each page is one CPU's. */
function checkOverlap(buffers: readonly BufferLayout[], fileSize: number): void {
  const parts = buffers
    .flatMap((buffer) => buffer.cpus.map(({ cpu, offset, size }) => ({ buffer, cpu, offset, size })))
    .filter(({ offset, size }) => size > 0 && offset < fileSize)
    .sort((a, b) => a.offset - b.offset);
  parts.forEach(({ buffer, cpu, offset }, index) => {
    const before = parts[index - 1];
    if (before === undefined || before.offset + before.size <= offset) return;
    throw new InputError(
      `${nameOf(buffer)}: expected the data of CPU ${cpu} behind that of CPU ${before.cpu} (${before.size} bytes at byte ` +
        `${before.offset}), found it at byte ${offset}: they overlap${cure}`,
    );
  });
}

const cure = ': the file is damaged; copy it again';
