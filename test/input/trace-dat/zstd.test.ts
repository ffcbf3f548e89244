import { describe, expect, it } from 'vitest';
import { ZSTDDecoder } from 'zstddec';
import { loadZstd } from '../../../src/input/trace-dat/zstd.js';

/** A frame of one block (RFC 8878): `size` times the same byte. */
function repeated(byte: number, size: number): Uint8Array {
  const [magic, singleSegment, last, runLength] = [0xfd2fb528, 0xa0, 1, 1];
  const frame = Buffer.alloc(13);
  frame.writeUInt32LE(magic, 0);
  frame.writeUInt8(singleSegment, 4);
  frame.writeUInt32LE(size, 5);
  frame.writeUIntLE(last | (runLength << 1) | (size << 3), 9, 3);
  frame.writeUInt8(byte, 12);
  return frame;
}

const size = 128 * 1024;

describe('zstd in WebAssembly', () => {
  it('fills a buffer that is used again, and takes no other', async () => {
    const decompress = await loadZstd();
    const into = new Uint8Array(size);
    const before = process.memoryUsage().arrayBuffers;
    for (let byte = 0; byte < 200; byte++) {
      expect(decompress(repeated(byte, size), into)).toBe(size);
      expect([into[0], into[size - 1]]).toEqual([byte, byte]);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * size);
  });

  it('says what is damaged, and leaves the buffer', async () => {
    const decompress = await loadZstd();
    const into = new Uint8Array(size).fill(7);
    const damaged = repeated(1, size);
    damaged[0] = 0;
    expect(decompress(damaged, into)).toBe(-1);
    expect(decompress(repeated(1, size).subarray(0, 10), into)).toBe(-1);
    expect(into.every((byte) => byte === 7)).toBe(true);
  });

  it('does not write behind a buffer that is too short, nor fill one that is too long', async () => {
    const decompress = await loadZstd();
    expect(decompress(repeated(1, size), new Uint8Array(size - 1))).toBe(-1);
    const long = new Uint8Array(size + 1);
    expect(decompress(repeated(1, size), long)).toBe(size);
    expect(long[size]).toBe(0);
  });

  it('takes data larger than the memory that WebAssembly began with', async () => {
    const decompress = await loadZstd();
    const [small, large] = [new Uint8Array(size), new Uint8Array(32 * size)];
    const frames = Buffer.concat(Array.from({ length: 32 }, (_, byte) => repeated(byte, size)));
    const more = Buffer.concat(Array.from({ length: 256 }, (_, byte) => repeated(byte, size)));
    expect(decompress(frames, large)).toBe(large.length);
    expect(large[17 * size]).toBe(17);
    const largest = new Uint8Array(256 * size);
    expect(decompress(more, largest)).toBe(largest.length);
    expect(largest.at(-1)).toBe(255);
    expect(decompress(repeated(3, size), small)).toBe(size);
    expect(small[5]).toBe(3);
  });

  it('leaves the decoder as it was to others', async () => {
    const { WebAssembly } = globalThis as unknown as { WebAssembly: { instantiate: unknown } };
    const before = WebAssembly.instantiate;
    await loadZstd();
    expect(WebAssembly.instantiate).toBe(before);
    expect(typeof fetch).toBe('function');
    const decoder = new ZSTDDecoder();
    await decoder.init();
    expect(decoder.decode(repeated(9, size), size)).toEqual(new Uint8Array(size).fill(9));
  });
});
