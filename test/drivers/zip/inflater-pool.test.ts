/** The pool of inflaters: what it hands out again, to whom, and what it lets go. */
import { describe, expect, it } from 'vitest';
import { InflaterPool } from '../../../drivers/zip/inflater-pool.js';

const usual = { windowBits: 15 };
const dictionary = new TextEncoder().encode('a request, and a request, and a request');

describe('a pool', () => {
  it('hands an inflater out again for the same window only', () => {
    const pool = new InflaterPool(4);
    const first = pool.take(usual);
    pool.give(first);
    expect(pool.take({ windowBits: 14 })).not.toBe(first);
    expect(pool.take({ windowBits: 15 })).toBe(first);
    expect(pool.take(usual)).not.toBe(first);
  });

  it('gives one back that met an error, without the error', () => {
    const pool = new InflaterPool(4);
    const inflater = pool.take(usual);
    inflater.write(new Uint8Array([7]), new Uint8Array(9));
    expect(inflater.error).not.toBe(null);
    pool.give(inflater);
    expect(pool.take(usual).error).toBe(null);
  });

  it('never keeps one with a dictionary, which is closed, and hands no idle one to a stream with one', () => {
    const pool = new InflaterPool(4);
    pool.give(pool.take(usual));
    const inflater = pool.take({ ...usual, dictionary });
    expect(pool.idleCount).toBe(1);
    pool.give(inflater);
    expect(pool.idleCount).toBe(1);
    expect(() => inflater.reset()).toThrow('after close');
  });

  it('keeps at most its bound and closes the longest idle', () => {
    const pool = new InflaterPool(2);
    const three = [13, 14, 15].map((windowBits) => pool.take({ windowBits }));
    for (const inflater of three) pool.give(inflater);
    expect(pool.idleCount).toBe(2);
    expect(() => three[0]!.reset()).toThrow('after close');
    expect(pool.take(usual)).toBe(three[2]);
  });

  it('with a bound of zero keeps nothing, and refuses what is not a bound', () => {
    const pool = new InflaterPool(0);
    pool.give(pool.take(usual));
    expect(pool.idleCount).toBe(0);
    expect(() => new InflaterPool(-1)).toThrow('whole number');
    expect(() => new InflaterPool(1.5)).toThrow('whole number');
  });

  it('stops when one comes back twice: two streams would share it', () => {
    const pool = new InflaterPool(4);
    const inflater = pool.take(usual);
    pool.give(inflater);
    expect(() => pool.give(inflater)).toThrow('once');
  });

  it('closes what is idle with it', () => {
    const pool = new InflaterPool(4);
    const inflater = pool.take(usual);
    pool.give(inflater);
    pool.close();
    expect(pool.idleCount).toBe(0);
    expect(() => inflater.reset()).toThrow('after close');
  });
});
