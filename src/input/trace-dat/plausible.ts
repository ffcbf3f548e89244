import type { ConditionSink } from '../../events/conditions.js';
import { InputError } from '../errors.js';
import type { BufferLayout, Layout } from './layout.js';

/** More CPUs than a kernel has (NR_CPUS is at most 8192). */
const mostCpus = 65_536;

/** Pages (sub-buffers) that a kernel can have. */
const smallestPage = 256;
const largestPage = 1 << 22;

/**
 * The buffers that are read: those with the clock of the first, because records of different clocks have no order.
 *
 * @throws InputError when a table can be no table: it would take memory or time that the file's size does not justify
 */
export function checkBuffers(layout: Layout, fileSize: number, sink: ConditionSink): BufferLayout[] {
  let total = 0;
  for (const { name, pageSize, cpus } of layout.buffers) {
    const buffer = name === '' ? 'the top buffer' : `buffer ${JSON.stringify(name)}`;
    if (cpus.length > 0 && (pageSize < smallestPage || pageSize > largestPage || pageSize % 8 !== 0))
      throw new InputError(
        `${buffer}: expected a page size of ${smallestPage} to ${largestPage} bytes, found ${pageSize}${cure}`,
      );
    for (const { cpu, offset, size } of cpus) {
      if (cpu >= mostCpus) throw new InputError(`${buffer}: expected a CPU below ${mostCpus}, found ${cpu}${cure}`);
      total += Math.max(0, Math.min(size, fileSize - offset));
    }
  }
  if (total > fileSize)
    throw new InputError(
      `the tables of the buffers name ${total} bytes of data, found a file of ${fileSize} bytes, so they overlap${cure}`,
    );
  const clock = layout.buffers.find(({ cpus }) => cpus.length > 0)?.clock;
  return layout.buffers.filter(({ name, cpus, clock: own }) => {
    if (cpus.length === 0) return false;
    if (own === clock) return true;
    sink.condition('unread-buffer', 1, 0, `${name}: clock ${own}, not ${clock}`);
    return false;
  });
}

const cure = ': the file is damaged; copy it again';
