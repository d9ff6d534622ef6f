// Do the words between kernel, IOMMU, engines and user threads keep their promises on real threads (docs/memory-model.md,
// sections 3.6 to 3.10 and 3.12)? Each right order is run beside a wrong one, to show that the test can see.
import { expect, test } from 'vitest';
import { litmus } from './litmus.js';

test('no frame is used by a device after its invalidation was acknowledged (R131, S7, G3)', async () => {
  const { rounds, forbidden } = await litmus({ source: './invalidation.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test.for(['acksInside', 'countsFirst'])(
  'a frame is used too late when the invalidation goes in the order %s',
  async (variant) => {
    const { forbidden } = await litmus({ source: './invalidation.mjs', variant });
    expect(forbidden).toBeGreaterThan(0);
  },
);

test('an entry that was taken away stays away, and takes the marks of the device with it (S27)', async () => {
  const { rounds, forbidden } = await litmus({ source: './page-table-entry.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test.for(['plainMark', 'plainTake'])(
  'an entry comes back, or loses its marks, with a %s',
  async (variant) => {
    const { forbidden } = await litmus({ source: './page-table-entry.mjs', variant });
    expect(forbidden).toBeGreaterThan(0);
  },
);

test('a control call that was counted is in the port, and no sleeping thread misses one', async () => {
  const { rounds, forbidden } = await litmus({ source: './control-message.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test('a call that is counted before it is posted is missed', async () => {
  const { forbidden } = await litmus({ source: './control-message.mjs', variant: 'countsFirst' });
  expect(forbidden).toBeGreaterThan(0);
});

test('two threads append records without losing or tearing one', async () => {
  const { rounds, forbidden } = await litmus({ source: './append-lock.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test.for(['noLock', 'tailFirst'])('records are torn or lost with %s', async (variant) => {
  const { forbidden } = await litmus({ source: './append-lock.mjs', variant });
  expect(forbidden).toBeGreaterThan(0);
});

test('no frame is used by a user thread after its access has left the epoch, and no wake-up is lost', async () => {
  const { rounds, forbidden } = await litmus({ source: './access-epoch.mjs' });
  expect(rounds).toBeGreaterThan(0);
  expect(forbidden).toBe(0);
});

test.for(['walksFirst', 'clearsLast', 'looksFirst', 'waitsLast'])(
  'a frame is used too late, or a wake-up is lost, when the access epoch goes in the order %s',
  async (variant) => {
    const { forbidden } = await litmus({ source: './access-epoch.mjs', variant });
    expect(forbidden).toBeGreaterThan(0);
  },
);
