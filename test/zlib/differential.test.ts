// Is `warpdrive/zlib` node:zlib to the letter? Each row of each table is done with both, and both must say the same:
// bytes, errors, events in their order. And was it the device that did it?
import node from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { close } from 'warpdrive';
import ours, { viaOf } from 'warpdrive/zlib';
import { limits } from '../../src/base/limits.js';
import { differences, differingPlaces } from './differential-compare.js';
import { countCalls, resultOf } from './observe.js';
import { TEXT } from './table-data.js';
import { tables } from './tables.js';

/** Share of the calls that could go to the device which must have done so. */
const DEVICE_SHARE_MIN = 0.9;

const tally = countCalls(ours, viaOf);

beforeAll(async () => {
  // From here on the device is there.
  await resultOf(ours, 'gzip', TEXT);
});
afterAll(() => close());

test('the comparison finds a difference, and says where', () => {
  const nodes = { calls: [{ results: [null, 5] }], more: 1 };
  expect([...differingPlaces(nodes, structuredClone(nodes), '')]).toEqual([]);
  expect([...differingPlaces(nodes, { calls: [{ results: [null, 6] }] }, '')]).toEqual([
    'at .calls.0.results.1 node has 5, ours 6',
    'at .more node has 1, ours undefined',
  ]);
});

describe('as node:zlib', () => {
  test.each(Object.entries(tables))('%s', async (_topic, rows) => {
    expect(await differences(rows, node, ours)).toEqual([]);
  });
});

test(`at least ${DEVICE_SHARE_MIN * 100} % of the calls above ${limits.DEVICE_THRESHOLD_BYTES} bytes took the device`, () => {
  const counts = {
    software: Object.fromEntries(tally.software),
    byDesign: Object.fromEntries(tally.byDesign),
  };
  console.log(`zlib calls: ${tally.device} on the device`, counts);
  expect(tally.share).toBeGreaterThanOrEqual(DEVICE_SHARE_MIN);
});
