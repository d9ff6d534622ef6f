// Can a wake-up or an interrupt of a queue be lost, whatever the two sides' timing? The words are those of MMIO page 0
// (docs/memory-model.md, sections 3.1 to 3.5). Each right order is run beside a wrong one, to show that the test can see.
import { expect, test } from 'vitest';
import { litmus } from './litmus.js';

test('a store and a look at the other side never miss each other on both sides (doorbell, head, event index, stalled)', async () => {
  const { rounds, forbidden } = await litmus({ source: './crossed-words.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test('the same two words with the look before the store do miss each other', async () => {
  const { forbidden } = await litmus({ source: './crossed-words.mjs', variant: 'loadFirst' });
  expect(forbidden).toBeGreaterThan(0);
});

test('an engine that goes to sleep hears every doorbell (R107)', async () => {
  const { rounds, forbidden } = await litmus({ source: './doorbell.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test.for(['looksFirst', 'futexLast'])(
  'an engine that goes to sleep in the order %s misses doorbells',
  async (variant) => {
    const { forbidden } = await litmus({ source: './doorbell.mjs', variant });
    expect(forbidden).toBeGreaterThan(0);
  },
);

test('an engine that sleeps on a full CQ hears that there is room again', async () => {
  const { rounds, forbidden } = await litmus({ source: './completion-slot.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test('an engine that looks for room before it says why it sleeps misses it', async () => {
  const { forbidden } = await litmus({ source: './completion-slot.mjs', variant: 'looksFirst' });
  expect(forbidden).toBeGreaterThan(0);
});

test('the tail of a burst is reported, wherever the event index is armed', async () => {
  const { rounds, forbidden } = await litmus({ source: './event-index.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test.for(['armsLast', 'loadsFirst'])(
  'a burst is left lying when the event index is handled in the order %s',
  async (variant) => {
    const { forbidden } = await litmus({ source: './event-index.mjs', variant });
    expect(forbidden).toBeGreaterThan(0);
  },
);

test('one message at a time tells the consumer of every completion', async () => {
  const { rounds, forbidden } = await litmus({ source: './interrupt-pending.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test('a consumer that looks before it clears the pending word misses completions', async () => {
  const { forbidden } = await litmus({ source: './interrupt-pending.mjs', variant: 'looksFirst' });
  expect(forbidden).toBeGreaterThan(0);
});
