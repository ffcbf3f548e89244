import { models } from './index.js';
import { type ModelId, modelIds } from './model.js';

/** The model of a kernel version as `parseVersion` gives it; none before 4.4. */
export function ofVersion(version: number): readonly ModelId[] {
  return modelIds.filter((id) => {
    const [first, last] = models[id].span;
    return id !== 'rfc-load-put' && first <= version && version <= last;
  });
}

/** `6.1.0-50-arm64` as 6001; undefined when the text is no release. */
export function parseVersion(release: string | undefined): number | undefined {
  const match = release?.match(/^(\d+)\.(\d+)/);
  return match === null || match === undefined ? undefined : Number(match[1]) * 1000 + Number(match[2]);
}
