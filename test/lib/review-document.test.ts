// Does docs/library.md say what the library does? Its pieces of code are one program, which is run as a reader would.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { runProgram } from '../threaded/threaded-bench.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs', 'library.md'), 'utf8');

test('the program of the page prints what the page says', async () => {
  const program = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code).join('');
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };
  // Inside the package, so that it finds `warpdrive` the way a program of its own does.
  mkdirSync(join(root, '.tmp'), { recursive: true });
  const directory = mkdtempSync(join(root, '.tmp', 'library-'));
  const file = join(directory, 'library.js');
  writeFileSync(file, ts.transpileModule(program, { compilerOptions }).outputText);
  const { code, stdout, stderr } = await runProgram(`await import(${JSON.stringify(file)});`);
  rmSync(directory, { recursive: true });
  const promised = [...program.matchAll(/^\/\/ => (.*)$/gm)].map(([, line]) => line);
  expect({ code, stderr, lines: stdout.trimEnd().split('\n') }).toEqual({
    code: 0,
    stderr: '',
    lines: promised,
  });
});

test('the table of errors has every kind, and only codes that the library has', () => {
  const source = readFileSync(join(root, 'src', 'base', 'errors.ts'), 'utf8');
  const union = /export type WdError =([^;]+);/.exec(source)![1]!;
  const kinds = [...union.matchAll(/\w+/g)].map(([kind]) => kind);
  const table = page.slice(page.indexOf('## Errors'));
  expect([...table.matchAll(/^\| `(\w+)`/gm)].map(([, kind]) => kind)).toEqual(kinds);
});
