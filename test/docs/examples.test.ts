// Does the documentation say what the code does? Each example is stripped of its types and run from the build with
// plain node, as a reader would run it; the README's first example is the file that is run here.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const examples = join(root, 'docs', 'examples');
let directory = '';

beforeAll(() => {
  // Inside the package, so that an example finds `warpdrive` the way a program of its own does.
  mkdirSync(join(root, '.tmp'), { recursive: true });
  directory = mkdtempSync(join(root, '.tmp', 'examples-'));
  for (const name of readdirSync(examples, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.ts')) transpile(name);
  }
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function transpile(name: string): void {
  const target = join(directory, name.replace(/\.ts$/, '.js'));
  const compilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2023,
    verbatimModuleSyntax: true,
  };
  const { outputText } = ts.transpileModule(readFileSync(join(examples, name), 'utf8'), { compilerOptions });
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
}

/** The lines that an example prints; it must end by itself, with code 0 and nothing on stderr. */
function linesOf(name: string): string[] {
  const ended = spawnSync(process.execPath, [join(directory, `${name}.js`)], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  return ended.stdout.trimEnd().split('\n');
}

test('the first example compresses on a device, is read back by node:zlib, and ends by itself (C11)', () => {
  const lines = linesOf('first');
  expect(lines[0]).toMatch(/^44000 bytes became \d+ on hisi_zip-\d+, queue \d+$/);
  expect(lines.slice(1)).toEqual(['node:zlib agrees']);
});

test('the README shows the first example as it is', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code);
  expect(blocks[0]).toBe(readFileSync(join(examples, 'first.ts'), 'utf8'));
});

test('the sim example shows that one seed gives one trace', () => {
  const lines = linesOf('sim');
  expect(lines.slice(0, 3).every((line) => line.includes('"the same bytes again" from wd_copy-0'))).toBe(
    true,
  );
  expect(lines.slice(3, 5)).toEqual(['the same seed, the same trace', 'another seed, another trace']);
  expect(lines.slice(5).some((line) => /^\d+ sqe completed \d+$/.test(line))).toBe(true);
});

test('a driver from outside the tree, written against warpdrive/driver alone, moves data without system calls (C13, R36)', () => {
  expect(linesOf('driver')).toEqual([
    'hELLOhARDWARE (from example_xor-0)',
    'HelloHardware',
    '"key" must be a whole number from 0 to 255, not 256',
    'system calls per request: 0',
  ]);
});

test('the driver from outside imports nothing of the tree and stays below 150 lines (R118)', () => {
  const files = readdirSync(join(examples, 'xor')).map((name) =>
    readFileSync(join(examples, 'xor', name), 'utf8'),
  );
  const imported = files.flatMap((text) => [...text.matchAll(/from '([^']+)'/g)].map(([, name]) => name!));
  expect(imported.filter((name) => !name.startsWith('./'))).not.toHaveLength(0);
  for (const name of imported) expect(name).toMatch(/^(\.\/[a-z-]+\.js|warpdrive\/driver|neverthrow)$/);
  expect(files.join('').split('\n').length).toBeLessThan(150);
});
