import { expect, it } from 'vitest';
import { kindNames } from '../../src/events/kinds.js';
import { nearest } from '../../src/events/nearest.js';

const cases: [string, string | undefined][] = [
  ['restoree', 'restore'],
  ['Restore', 'restore'],
  ['laod', 'load'],
  ['vtimer-irq', 'vtimer_irq'],
  ['update_irqs', 'update_irq'],
  ['nonsense', undefined],
  ['', undefined],
  ['x'.repeat(1000), undefined],
];

it.each(cases)('%s is near %s', (word, expected) => {
  expect(nearest(word, kindNames)).toBe(expected);
});
