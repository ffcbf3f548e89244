import type { Model } from './model.js';
import { timerMapModel } from './timer-map.js';

// Source: arch_timer.c of 6.6 and 6.12 (specification §2e). Offsets belong to the VM, and CNTVOFF_EL2 is written by the
// restore and the save of the direct virtual timer instead of by load and put: what a record changes stays the same.

/** 6.4 to 6.13: VM-wide offsets, nested maps. */
export const offsetModel: Model = {
  id: 'offset',
  kernels: '6.4 to 6.13',
  span: [6004, 6013],
  summary:
    'as timer-map, with offsets per VM, CNTVOFF written in save and restore, and nested maps (ev: in the timer map)',
  recordsSaveRestore: true,
  steps: timerMapModel.steps,
};
