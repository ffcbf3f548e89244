import type { Model } from './model.js';
import { timerMapModel } from './timer-map.js';

// Source: arch_timer.c of 4.15.1 (specification §2c).

/** 4.15. */
export const loadPut415Model: Model = {
  id: 'load-put-4.15',
  kernels: '4.15',
  span: [4015, 4015],
  summary:
    'save in put and schedule, restore in load and unschedule; affinity set once; the level is cached and lowered by every sync',
  recordsSaveRestore: false,
  steps: { ...timerMapModel.steps },
};
