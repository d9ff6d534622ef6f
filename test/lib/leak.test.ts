// Does a program that lives for long give everything back: memory, threads, and what keeps it from ending?
//
// WD_LEAK_FACTOR=20 makes 1,000 pools and 100,000 sessions, which takes minutes; usually it is a twentieth of that.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../src/base/units.js';
import type { LeakReport, LeakRow } from './leak-program.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FACTOR = process.env.WD_LEAK_FACTOR ?? '1';
/** Growth from the first third to the last that code getting warm explains, and no leak of a thousand bytes a round. */
const HEAP_BYTES = 2 * MiB;
/** Pages that the allocator keeps for the next time are no leak; 1,000 machines of them would be. */
const RESIDENT_BYTES = 64 * MiB;

let directory = '';
let report: LeakReport;

beforeAll(async () => {
  // Inside the package, so that it finds `warpdrive` the way a program of its own does.
  mkdirSync(join(root, '.tmp'), { recursive: true });
  directory = mkdtempSync(join(root, '.tmp', 'leak-'));
  report = await runLeakProgram();
}, 600_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function runLeakProgram(): Promise<LeakReport> {
  const compilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2023,
    verbatimModuleSyntax: true,
  };
  const source = readFileSync(new URL('./leak-program.ts', import.meta.url), 'utf8');
  const program = join(directory, 'leak-program.js');
  writeFileSync(program, ts.transpileModule(source, { compilerOptions }).outputText);
  const child = spawn(process.execPath, ['--expose-gc', program, FACTOR], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (text: Buffer) => {
    output += text;
  });
  const [code] = await once(child, 'close');
  if (code !== 0)
    throw new Error(`the program ended with code ${code}: something is waited for that never comes`);
  return JSON.parse(output) as LeakReport;
}

const NAMES = [
  'machines',
  'pools of one machine',
  'sessions',
  'memory of the pool',
  'streams',
  'aborted requests',
  'tenants',
  'pools on threads',
];

test.each(NAMES)('%s come and go: what the program holds stays the same', (name) => {
  const { early, late } = report.rows.find((row) => row.name === name) as LeakRow;
  expect(late.heapBytes - early.heapBytes).toBeLessThan(HEAP_BYTES);
  expect(late.residentBytes - early.residentBytes).toBeLessThan(RESIDENT_BYTES);
  expect([late.threads, late.resources]).toEqual([early.threads, early.resources]);
});

test('when all have gone, threads and resources are those of the beginning', () => {
  const { before, after, rows } = report;
  expect(rows.map(({ name }) => name)).toEqual(NAMES);
  expect([after.threads, after.resources]).toEqual([before.threads, before.resources]);
});
