import { loadPutSteps } from './load-put.js';
import type { Model } from './model.js';

// Source: arch_timer.c of 4.19.71 (specification §2c). The vgic samples the line (4c60e360d6df), so that the timer code
// neither lowers the level nor writes the active state afterwards; load writes what the vgic says and does not look at
// the level (bug 22, until bae561c0cff7). The first KVM_RUN enables before it loads.

/** 4.16 to 4.20. */
export const loadPut416Model: Model = {
  id: 'load-put-4.16',
  kernels: '4.16 to 4.20',
  span: [4016, 4020],
  summary: 'as load-put-4.15, with the line sampled by the vgic instead of lowered by sync',
  recordsSaveRestore: false,
  steps: { ...loadPutSteps },
};
