// Are all bytes right when processes of a real machine fork, swap, unmap and protect their memory while copies are in
// flight? A few rounds of the program behind `npm run stress`, which runs as long as one likes.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startThreaded, type ThreadedMachine } from 'warpdrive/sim';
import { copyDriverUrls, copyInstances } from '../stress/copy-machine.js';
import { closingLine, runStress } from '../stress/stress.js';

const LIVES = 2;

let machine: ThreadedMachine;
beforeAll(async () => {
  const config = { memoryBytes: 32 * 1024 * 1024, instances: copyInstances };
  machine = (await startThreaded({ config, driverUrls: copyDriverUrls() }))._unsafeUnwrap();
});
afterAll(() => machine.close());

test.for([1, 2])('no byte is wrong and nothing hangs (seed %i)', async (seed) => {
  const report = await runStress({
    createProcess: async (quotaFrames) =>
      (await machine.createProcess(quotaFrames === undefined ? {} : { quotaFrames }))._unsafeUnwrap(),
    seed,
    goesOn: (lives) => lives < LIVES,
  });
  expect(report.findings).toEqual([]);
  expect(closingLine(report)).toMatch(/^\d{4,} operations, 0 wrong bytes, 0 hangs$/);
});
