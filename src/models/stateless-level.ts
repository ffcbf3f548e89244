import type { Model } from './model.js';
import { offsetModel } from './offset.js';

// Source: arch_timer.c of 6.14 and 7.2 (specification §2e). The functions are those of 6.4 to 6.13 as far as a
// trace shows them; what is gone is the cached irq.level: kvm_timer_update_irq is called with the current pending
// value at every evaluation, so that nothing can be concluded from two equal levels in a row.

/** 6.14 and later: no cached level, the soft timer is always re-evaluated; GICv5 guests. */
export const statelessLevelModel: Model = {
  id: 'stateless-level',
  kernels: '6.14 to 7.x',
  span: [6014, 7999],
  summary: 'as offset, without a cached interrupt level: update_irq reports the pending value at every evaluation',
  recordsSaveRestore: true,
  steps: offsetModel.steps,
};
