/**
 * The stress command: `node dist/test/stress/main.js [--seconds N] [--seed N]`. The last line says how it went; the code
 * is 0 when no byte was wrong, nothing hung and nothing failed, and 1 otherwise, with what was wrong on stderr.
 */
import { parseArgs } from 'node:util';
import { MiB } from '../../src/base/units.js';
import { startThreaded } from '../../src/entry/sim.js';
import { copyDriverUrls, copyInstances } from './copy-machine.js';
import { closingLine, runStress } from './stress.js';

const MEMORY_BYTES = 32 * MiB;

function amountOf(name: string, given: string | undefined, usual: number): number {
  const amount = Number(given ?? usual);
  if (Number.isInteger(amount) && amount > 0) return amount;
  throw new Error(`--${name} takes a whole number from 1, not ${given}`);
}

async function stress(seconds: number, seed: number): Promise<number> {
  const config = { memoryBytes: MEMORY_BYTES, instances: copyInstances };
  const machine = (await startThreaded({ config, driverUrls: copyDriverUrls() }))._unsafeUnwrap();
  const endMs = performance.now() + seconds * 1000;
  const report = await runStress({
    createProcess: async (quotaFrames) =>
      (await machine.createProcess(quotaFrames === undefined ? {} : { quotaFrames }))._unsafeUnwrap(),
    seed,
    goesOn: () => performance.now() < endMs,
  });
  for (const finding of report.findings) process.stderr.write(`stress: ${finding}\n`);
  process.stdout.write(`${closingLine(report)}\n`);
  return report.findings.length === 0 ? 0 : 1;
}

async function main(args: string[]): Promise<number> {
  try {
    const options = { seconds: { type: 'string' }, seed: { type: 'string' } } as const;
    const { values } = parseArgs({ args, options });
    const seed = amountOf('seed', values.seed, (Date.now() % 2 ** 31) + 1);
    const seconds = amountOf('seconds', values.seconds, 60);
    process.stderr.write(`stress: ${seconds} s, seed ${seed}\n`);
    return await stress(seconds, seed);
  } catch (error) {
    process.stderr.write(`stress: ${(error as Error).message}\n`);
    return 1;
  }
}

// What hangs would keep the process.
process.exit(await main(process.argv.slice(2)));
