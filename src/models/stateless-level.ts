import type { Model } from './model.js';
import { offsetModel } from './offset.js';

// Source: arch_timer.c of 6.14 and 7.2 (specification §2e). The functions are those of 6.4 to 6.13 as far as a
// trace shows them. From 7.2 on the cached irq.level is gone: kvm_timer_update_irq is called with the current pending
// value at every evaluation, so that nothing can be concluded from two equal levels in a row. Recordings of 6.16 to 7.1
// report an emulated timer where its level changes (11 of 189 evaluations), those of 7.2 and 7.3 always (282 of 283).

/** 6.14 and later: the soft timer is always re-evaluated; no cached level from 7.2 on; GICv5 guests. */
export const statelessLevelModel: Model = {
  id: 'stateless-level',
  kernels: '6.14 to 7.x',
  span: [6014, 7999],
  summary:
    'as offset, with the soft timer evaluated anew after every report; from 7.2 on without a cached level: update_irq reports the pending value at every evaluation',
  recordsSaveRestore: true,
  steps: offsetModel.steps,
};
