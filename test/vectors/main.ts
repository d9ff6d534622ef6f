/**
 * Replays files of recorded IOMMU cases: `main.js FILE...`, plain or gzipped.
 *
 * One line per failing case on standard output, at most twenty, then `N passed, N failed`. Exit code 1 when a
 * case failed or a file could not be read.
 */
import { readVectors } from './format.js';
import { type Mismatch, Replayer } from './replay.js';

const REPORTED_CASES = 20;

let passed = 0;
let failed = 0;
let unreadable = 0;

function reportFailure(name: string, [first]: readonly Mismatch[]): void {
  failed++;
  if (failed > REPORTED_CASES || first === undefined) return;
  const values = `expected ${JSON.stringify(first.expected)}, got ${JSON.stringify(first.got)}`;
  console.log(`${name}: ${first.step}, ${first.field}: ${values}`);
}

async function replayFile(path: string): Promise<void> {
  let replayer: Replayer | undefined;
  for await (const { header, testCase } of readVectors(path)) {
    replayer ??= new Replayer(header);
    const mismatches = replayer.replay(testCase);
    if (mismatches.length === 0) passed++;
    else reportFailure(testCase.name, mismatches);
  }
}

const paths = process.argv.slice(2);
if (paths.length === 0) {
  console.error('usage: main.js FILE... (recorded IOMMU cases, .jsonl or .jsonl.gz)');
  unreadable++;
}
for (const path of paths) {
  try {
    await replayFile(path);
  } catch (error) {
    console.error(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    unreadable++;
  }
}
console.log(`${passed} passed, ${failed} failed`);
if (failed + unreadable > 0) process.exitCode = 1;
