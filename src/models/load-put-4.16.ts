import { loadPut415Model } from './load-put-4.15.js';
import type { Model } from './model.js';

// Source: arch_timer.c of 4.19.71 (specification §2c).

/** 4.16 to 4.20. */
export const loadPut416Model: Model = {
  id: 'load-put-4.16',
  kernels: '4.16 to 4.20',
  span: [4016, 4020],
  summary: 'as load-put-4.15, with the line sampled by the vgic instead of lowered by sync',
  recordsSaveRestore: false,
  steps: { ...loadPut415Model.steps },
};
