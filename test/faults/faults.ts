import type { Fault } from './fault.js';
import { backgroundFaults, identityFaults } from './identity-faults.js';
import { interruptFaults } from './interrupt-faults.js';
import { levelFaults } from './level-faults.js';
import { lifecycleFaults } from './lifecycle-faults.js';
import { livenessFaults } from './liveness-faults.js';
import { loadPutFaults } from './load-put-faults.js';
import { offsetFaults } from './offset-faults.js';
import { registerFaults } from './register-faults.js';

/** Every kind of fault that is put into the recordings. */
export const faults: readonly Fault[] = [
  ...registerFaults,
  ...offsetFaults,
  ...lifecycleFaults,
  ...interruptFaults,
  ...levelFaults,
  ...identityFaults,
  ...backgroundFaults,
  ...loadPutFaults,
  ...livenessFaults,
];
