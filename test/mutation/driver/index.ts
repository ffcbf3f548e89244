import type { Design } from '../../../src/models/design.js';
import type { SimHost } from '../../../src/simulate/state.js';
import { physicalTimer } from './physical.js';
import type { Episode } from './stage.js';
import { userspace } from './userspace.js';
import { bothTimers, episodesOfVariant, hypervisors, variantsOf } from './variants.js';
import { virtualTimer } from './virtual.js';

// What guests, scheduler and userspace do to a host, so that every function of a design is called on each of its ways.

export const episodes: Readonly<Record<string, Episode>> = {
  ...virtualTimer,
  ...userspace,
  ...physicalTimer,
  ...bothTimers,
  ...hypervisors,
};

/** One after the other: what one shows of offsets, and of what is recorded at all, decides in the next. */
const history: Episode = (stage) => {
  const { woken, block, blockEdges, ptimer: physicalTimer, preempt, mask, late, user, tick } = episodes;
  const told = stage.simulation.host.inKernelIrqchip
    ? [woken, block, blockEdges, physicalTimer, preempt, mask, late, user, tick]
    : [block, preempt, mask, tick];
  for (const episode of told) episode?.(stage);
};

/** The episodes that a host is tried with: on others than the plain ones only what differs there. */
export function episodesOf(host: SimHost): [name: string, episode: Episode][] {
  const differing = episodesOfVariant(host);
  const own = host.inKernelIrqchip ? differing : ['tick', 'preempt', 'block', 'mask', 'pending', 'cancelled'];
  return [
    ...Object.entries(episodes).filter(([name]) => own === undefined || own.includes(name)),
    ...(differing === undefined ? [['history', history] as [string, Episode]] : []),
  ];
}

/** The hosts on which a design is tried. */
export function hostsOf(design: Design): SimHost[] {
  const base = { cpus: 2, activeState: true, inKernelIrqchip: true, hasPtimer: design.id !== 'rfc-load-put' };
  const user = { ...base, host: 'nvhe' as const, inKernelIrqchip: false };
  return [
    { ...base, host: 'nvhe' },
    { ...base, host: 'vhe' },
    ...variantsOf(design, { ...base, host: 'vhe' }),
    ...(design.id === 'world-switch' ? [{ ...base, host: 'nvhe' as const, hasPtimer: false }] : []),
    ...(design.id === 'rfc-load-put' ? [] : [user]),
    ...(design.vgicSamplesLine ? [{ ...user, activeState: false }] : []),
  ];
}
