// Is `warpdrive/zlib` node:zlib to the letter for what nobody thought of? Random calls and random streams, done with
// both; and large inputs of the sizes at which the library changes its ways.
import node from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { close } from 'warpdrive';
import ours, { viaOf } from 'warpdrive/zlib';
import { MiB } from '../../src/base/units.js';
import { randomBytes, sampleText } from '../lib/library-bench.js';
import { differences, differencesOf } from './differential-compare.js';
import { calls, streams } from './differential-random.js';
import { drive } from './differential-steps.js';
import { answered, countCalls, type Row, resultOf } from './observe.js';
import { inputFor, TEXT } from './table-data.js';

const RUNS = 200;
const seed = Number(process.env.WD_ZLIB_SEED ?? Math.floor(Math.random() * 2 ** 31));
const tally = countCalls(ours, viaOf);

beforeAll(async () => {
  await resultOf(ours, 'gzip', TEXT);
  console.log(`zlib: random calls and streams; WD_ZLIB_SEED=${seed} repeats them`);
});
afterAll(() => close());

/** Both say the same. */
async function agree(row: Row): Promise<void> {
  expect(await differencesOf(row, node, ours)).toEqual([]);
}

test('random calls', async () => {
  const property = fc.asyncProperty(calls, ([name, input, options]) =>
    agree((zlib) => answered(zlib, name, input, options)),
  );
  await fc.assert(property, { numRuns: RUNS, seed });
});

test('random streams', async () => {
  const property = fc.asyncProperty(streams, ([className, options, steps]) =>
    agree((zlib) => drive(zlib, className, options, steps)),
  );
  await fc.assert(property, { numRuns: RUNS, seed });
});

test('random streams, read when all is written', async () => {
  const property = fc.asyncProperty(streams, ([className, options, steps]) => {
    // Nothing is settled before somebody reads.
    const writes = steps.filter(([name]) => name === 'write');
    return agree((zlib) => drive(zlib, className, options, [...writes, ['end']], 'late'));
  });
  await fc.assert(property, { numRuns: RUNS / 2, seed });
});

test('several random calls at once', async () => {
  const property = fc.asyncProperty(fc.array(calls, { minLength: 2, maxLength: 8 }), (batch) =>
    agree((zlib) => Promise.all(batch.map(([name, input, options]) => answered(zlib, name, input, options)))),
  );
  await fc.assert(property, { numRuns: RUNS / 10, seed });
});

/** Inputs on both sides of the size from which on the library cuts an input, and one larger than a window of DMA. */
const LARGE: Record<string, Buffer> = {
  'just below a mebibyte of text': sampleText(MiB - 1),
  'a mebibyte of noise': randomBytes(MiB),
  'more than seven mebibytes of text': sampleText(7 * MiB + 5),
};

test.each(Object.entries(LARGE))('%s', async (_name, bytes) => {
  const rows: Record<string, Row> = {};
  for (const name of ['gzip', 'inflateRaw'])
    rows[name] = (zlib) => answered(zlib, name, inputFor(name, bytes), { level: 1 });
  for (const name of ['Gzip', 'Unzip'])
    rows[name] = (zlib) => drive(zlib, name, { level: 1 }, [['end', inputFor(name, bytes)]]);
  expect(await differences(rows, node, ours)).toEqual([]);
});

test('most of them took the device', () => {
  console.log(
    `zlib calls: ${tally.device} on the device`,
    Object.fromEntries([...tally.software, ...tally.byDesign]),
  );
  expect(tally.share).toBeGreaterThanOrEqual(0.9);
});
