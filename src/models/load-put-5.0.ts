import { loadPutSteps } from './load-put.js';
import type { Model } from './model.js';

// Source: arch_timer.c of 5.0 (specification §2c): kvm_bg_timer_expire calls kvm_vcpu_wake_up itself, which shows in who
// records the wakeup and in nothing else.

/** 5.0. */
export const loadPut50Model: Model = {
  id: 'load-put-5.0',
  kernels: '5.0',
  span: [5000, 5000],
  summary: 'as load-put-4.16, with the vcpu woken by the hrtimer callback instead of a work item',
  recordsSaveRestore: false,
  steps: { ...loadPutSteps },
};
