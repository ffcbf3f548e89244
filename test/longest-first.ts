import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Test files that take a good part of a minute or more. One that began last would keep a single processor busy. */
const longest = [
  'test/faults/faults.test.ts',
  'test/robustness/subsets.test.ts',
  'test/robustness/gaps.test.ts',
  'test/convert/round-trip.test.ts',
  'test/input/trace-dat/oracle.test.ts',
  'test/mutation/mutation.test.ts',
  'test/robustness/forms.test.ts',
];

/** Starts the longest test files first, on a clean clone as well, where nothing is known of an earlier run. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification) => {
      const at = longest.indexOf(relative(project.config.root, moduleId));
      return at < 0 ? longest.length : at;
    };
    return [...(await super.sort(files))].sort((a, b) => rank(a) - rank(b));
  }
}
