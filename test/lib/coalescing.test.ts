// Can an interrupt that covers several completions ever strand the last of them?
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openLibrary, randomBytes } from './library-bench.js';

const BYTES = randomBytes(40_000);

/** Bursts of sizes, each sent without waiting for the one before. */
const bursts = fc.array(
  fc.array(fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: BYTES.length })), {
    minLength: 1,
    maxLength: 120,
  }),
  { minLength: 1, maxLength: 8 },
);

test('thousands of requests of any size, in bursts of any length, all end before the machine is idle', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), bursts, async (seed, sizes) => {
      const { machine, pool } = await openLibrary({ seed });
      const session = pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
      let ended = 0;
      const calls: PromiseLike<unknown>[] = [];
      for (const burst of sizes) {
        for (const bytes of burst) {
          const call = session.run(BYTES.subarray(0, bytes)).then((result) => {
            expect(result._unsafeUnwrap().data.length).toBe(bytes);
            ended += 1;
          });
          calls.push(call);
        }
        await new Promise(setImmediate);
      }
      // The machine is idle when it has had no event for many turns of the event loop: nothing else can wake us.
      for (let idleTurns = 0, events = -1; idleTurns < 50 && ended < calls.length; ) {
        await new Promise(setImmediate);
        idleTurns = machine.events === events ? idleTurns + 1 : 0;
        events = machine.events;
      }
      expect(ended).toBe(calls.length);
      await pool.close();
    }),
    { numRuns: 30 },
  );
});
