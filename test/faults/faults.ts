import type { Fault } from './fault.js';
import { backgroundFaults, identityFaults } from './identity-faults.js';
import { interruptFaults } from './interrupt-faults.js';
import { levelFaults } from './level-faults.js';
import { lifecycleFaults } from './lifecycle-faults.js';
import { registerFaults } from './register-faults.js';
import { worldSwitchFaults } from './world-switch-faults.js';

/** Every kind of fault that is put into the recordings. */
export const faults: readonly Fault[] = [
  ...registerFaults,
  ...lifecycleFaults,
  ...interruptFaults,
  ...levelFaults,
  ...identityFaults,
  ...backgroundFaults,
  ...worldSwitchFaults.map((fault) => ({ ...fault, id: `world-switch-${fault.id}` })),
];
