import type { Model } from './model.js';
import { timerMapModel } from './timer-map.js';

// Source: arch_timer.c and hyp/timer-sr.c of 4.9 and 4.14 (specification §2a).

/** 4.4 to 4.14. */
export const worldSwitchModel: Model = {
  id: 'world-switch',
  kernels: '4.4 to 4.14',
  span: [4004, 4014],
  summary: 'the hypervisor saves and restores the timer around every entry; hardware holds it only in the guest',
  recordsSaveRestore: false,
  steps: { ...timerMapModel.steps },
};
