import { expect, it } from 'vitest';
import { ZSTDDecoder } from 'zstddec';
import { loadZstd } from '../../../src/input/trace-dat/zstd.js';

/** Two bytes in a frame of one block (RFC 8878). */
const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 2, 0x11, 0, 0, 0x61, 0x62);

it('zstd works where another part of the process has loaded the package first', async () => {
  const decoder = new ZSTDDecoder();
  await decoder.init();
  const decompress = await loadZstd();
  const into = new Uint8Array(2);
  expect(decompress(frame, into)).toBe(2);
  expect([...into]).toEqual([0x61, 0x62]);
  expect(decompress(frame.subarray(0, 8), into)).toBeLessThan(1);
});
