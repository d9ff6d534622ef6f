// Does a call that nobody wants any more give its device back at the next segment, and does it harm nobody else?

import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../src/base/units.js';
import { openLibrary, randomBytes, sampleText } from './library-bench.js';

/** Turns of the machine until `queues` have nothing in flight; each system call is one. */
async function turnsUntilIdle(pool: { describe(): Promise<{ queues: readonly { inFlight: number }[] }> }) {
  for (let turns = 0; ; turns++) {
    const { queues } = await pool.describe();
    if (queues.every(({ inFlight }) => inFlight === 0)) return turns;
    await new Promise(setImmediate);
  }
}

describe('a request that runs', () => {
  const input = sampleText(6 * MiB);
  const options = { level: 9, split: false, route: 'device' } as const;

  test('is ended by its signal long before it would have ended', async () => {
    const { pool, machine } = await openLibrary();
    await pool.ready({ op: 'compress' });
    const begun = machine.nowNs;
    (await pool.compress(input, options))._unsafeUnwrap();
    const whole = machine.nowNs - begun;
    const controller = new AbortController();
    const call = pool.compress(input, { ...options, signal: controller.signal });
    await pool.describe();
    const from = machine.nowNs;
    controller.abort('enough');
    expect((await call)._unsafeUnwrapErr()).toMatchObject({ kind: 'Aborted', reason: 'enough' });
    await turnsUntilIdle(pool);
    expect(machine.nowNs - from).toBeLessThan(whole / 10);
    await pool.close();
  });

  test.each([
    ['blocks over all engines', 9 * MiB, {}],
    ['a serial stream', 9 * MiB, { split: false }],
  ])('as %s: it ends, and the next call is right', async (_what, bytes, more) => {
    const { pool } = await openLibrary({ engines: 2 });
    const controller = new AbortController();
    const call = pool.compress(sampleText(bytes), { ...more, signal: controller.signal });
    for (let i = 0; i < 5; i++) await pool.describe();
    controller.abort();
    expect((await call)._unsafeUnwrapErr().kind).toBe('Aborted');
    const text = sampleText(2 * MiB);
    expect(gunzipSync((await pool.compress(text))._unsafeUnwrap().data).equals(text)).toBe(true);
    await pool.close();
  });
});

test('whoever is cancelled, whenever: the others get their own bytes, and every slot serves again', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ bytes: fc.integer({ min: 0, max: 60_000 }), cancelAt: fc.option(fc.nat(12)) }), {
        minLength: 1,
        maxLength: 30,
      }),
      fc.integer(),
      async (calls, seed) => {
        const { pool } = await openLibrary({ engines: 2, seed });
        await pool.ready({ op: 'copy' });
        const session = pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
        const controllers = calls.map(() => new AbortController());
        const inputs = calls.map(({ bytes }, i) => randomBytes(bytes, i + 1));
        const results = calls.map((_, i) => session.run(inputs[i]!, { signal: controllers[i]!.signal }));
        for (let turn = 0; turn <= 12; turn++) {
          for (const [i, { cancelAt }] of calls.entries()) if (cancelAt === turn) controllers[i]!.abort();
          await pool.describe();
        }
        for (const [i, result] of (await Promise.all(results)).entries()) {
          if (result.isOk()) expect(result.value.data.equals(inputs[i]!)).toBe(true);
          else expect([result.error.kind, calls[i]!.cancelAt === null]).toEqual(['Aborted', false]);
        }
        const after = await Promise.all(inputs.map((input) => session.run(input)));
        for (const [i, result] of after.entries())
          expect(result._unsafeUnwrap().data.equals(inputs[i]!)).toBe(true);
        await pool.close();
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);
