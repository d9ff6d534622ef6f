/** The pool of codecs: what it hands out again, to whom, and what it lets go. */
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { HandlePool } from '../../../drivers/zip/handle-pool.js';

const options = { level: 6, windowBits: 15, memLevel: 8, strategy: 0 };
const bytes = new TextEncoder().encode('a request, and a request, and a request');
const pool = (bound = 4): HandlePool => new HandlePool({ deflaters: bound, inflaters: bound });

describe('a pool', () => {
  it('hands a deflater out again for the same options and for no others', () => {
    const p = pool();
    const first = p.takeDeflater(options);
    p.giveDeflater(first);
    const others = [{ level: 1 }, { windowBits: 12 }, { memLevel: 9 }, { strategy: 2 }];
    for (const other of others) expect(p.takeDeflater({ ...options, ...other })).not.toBe(first);
    expect(p.takeDeflater({ ...options })).toBe(first);
    expect(p.takeDeflater(options)).not.toBe(first);
  });

  it('hands a deflater whose coding was changed out for the later coding, never for the one it had', () => {
    const p = pool();
    const changed = p.takeDeflater(options);
    const output = new Uint8Array(200);
    changed.write(bytes, output, 'sync');
    changed.params(0, 2);
    p.giveDeflater(changed);
    expect(p.takeDeflater(options)).not.toBe(changed);
    const later = { ...options, level: 0, strategy: 2 };
    const again = p.takeDeflater(later);
    expect(again).toBe(changed);
    again.write(bytes, output, 'finish');
    expect(Buffer.from(output.subarray(0, again.produced)).equals(deflateRawSync(bytes, later))).toBe(true);
  });

  it('hands an inflater out again for the same window only', () => {
    const p = pool();
    const first = p.takeInflater({ windowBits: 15 });
    p.giveInflater(first);
    expect(p.takeInflater({ windowBits: 14 })).not.toBe(first);
    expect(p.takeInflater({ windowBits: 15 })).toBe(first);
  });

  it('gives a codec that was left in the middle of a stream back at its beginning', () => {
    const p = pool();
    const deflater = p.takeDeflater(options);
    const output = new Uint8Array(200);
    deflater.write(bytes, output.subarray(0, 3), 'sync');
    expect(deflater.outputFull).toBe(true);
    p.giveDeflater(deflater);
    const again = p.takeDeflater(options);
    again.write(bytes, output, 'finish');
    const written = Buffer.from(output.subarray(0, again.produced));
    expect(written.equals(deflateRawSync(bytes, options))).toBe(true);
  });

  it('gives a decoder back that met an error, without the error', () => {
    const p = pool();
    const inflater = p.takeInflater({ windowBits: 15 });
    inflater.write(new Uint8Array([7]), new Uint8Array(9));
    expect(inflater.error).not.toBe(null);
    p.giveInflater(inflater);
    expect(p.takeInflater({ windowBits: 15 }).error).toBe(null);
  });

  it('never keeps a codec with a dictionary, which is closed', () => {
    const p = pool();
    const deflater = p.takeDeflater({ ...options, dictionary: bytes });
    const inflater = p.takeInflater({ windowBits: 15, dictionary: bytes });
    p.giveDeflater(deflater);
    p.giveInflater(inflater);
    expect(p.idleCount).toBe(0);
    expect(() => deflater.reset()).toThrow('after close');
    expect(() => inflater.reset()).toThrow('after close');
  });

  it('never hands an idle codec to a stream with a dictionary', () => {
    const p = pool();
    p.giveDeflater(p.takeDeflater(options));
    p.takeDeflater({ ...options, dictionary: bytes });
    expect(p.idleCount).toBe(1);
  });

  it('keeps at most its bound and closes the longest idle', () => {
    const p = pool(2);
    const three = [1, 2, 3].map((level) => p.takeDeflater({ ...options, level }));
    for (const deflater of three) p.giveDeflater(deflater);
    expect(p.idleCount).toBe(2);
    expect(() => three[0]!.reset()).toThrow('after close');
    expect(p.takeDeflater({ ...options, level: 3 })).toBe(three[2]);
  });

  it('with a bound of zero keeps nothing, and refuses what is not a bound', () => {
    const p = pool(0);
    p.giveInflater(p.takeInflater({ windowBits: 15 }));
    expect(p.idleCount).toBe(0);
    expect(() => pool(-1)).toThrow('whole number');
    expect(() => pool(1.5)).toThrow('whole number');
  });

  it('stops when a codec comes back twice: two streams would share it', () => {
    const p = pool();
    const deflater = p.takeDeflater(options);
    p.giveDeflater(deflater);
    expect(() => p.giveDeflater(deflater)).toThrow('once');
  });

  it('closes what is idle with it', () => {
    const p = pool();
    const inflater = p.takeInflater({ windowBits: 15 });
    p.giveInflater(inflater);
    p.close();
    expect(p.idleCount).toBe(0);
    expect(() => inflater.reset()).toThrow('after close');
  });
});
