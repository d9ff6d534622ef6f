// Is the style that we agreed on kept? Layers, cycles, forbidden globals, sizes, comments, ignored Results.
//
// Each rule is a function from sources to complaints. It is tried on a bad sample first, so that a rule which finds
// nothing is known to look.
import { describe, expect, it } from 'vitest';
import { cycles, LAYERS, layerOf, upwardImports } from './tidy/layers.js';
import { type Source, sources } from './tidy/sources.js';
import {
  doorsWithCode,
  forbiddenGlobals,
  headless,
  LINES_PER_ENTRY,
  LINES_PER_FILE,
  LINES_PER_FUNCTION,
  tooLong,
  topLevelAwaits,
} from './tidy/syntax.js';
import { ignoredResults, programOf, undocumented } from './tidy/types.js';

const PUBLIC_ENTRIES = ['index', 'driver', 'policy', 'sim', 'zlib', 'zlib-promises'].map(
  (name) => `src/entry/${name}.ts`,
);

const sample = (path: string, text: string): Source[] => [{ path, text }];

describe('layers', () => {
  it.each([
    ['src/base/x.ts', "import { a } from '../hw/clock.js';"],
    ['src/hw/x.ts', "import type { A } from '../kernel/kernel.js';"],
    ['src/coproc/x.ts', "export { a } from '../kernel/kernel.js';"],
    ['src/kernel/x.ts', "export * from '../coproc/policy.js';"],
    ['lib/x.ts', "type A = import('../src/hw/clock.js').Clock;"],
    ['src/hw/x.ts', "const a = await import('../machine/x.js');"],
    ['src/hw/x.ts', "import { readFileSync } from 'node:fs';"],
    ['drivers/zip/device-x.ts', "import { a } from '../../src/hw/clock.js';"],
    ['drivers/zip/device-x.ts', "import { a } from '../../lib/driver-api.js';"],
    ['drivers/zip/device-x.ts', "import { a } from './user-driver.js';"],
    ['drivers/zip/user-x.ts', "import { a } from '../../src/driver-api.js';"],
    ['drivers/zip/codec.ts', "import { a } from './device.js';"],
    ['drivers/zip/layout.ts', "import { a } from '../copy/layout.js';"],
    ['src/new/x.ts', "import { a } from '../base/assert.js';"],
  ])('the rule finds an upward import: %s has %s', (path, text) => {
    expect(upwardImports(sample(path, text))).toHaveLength(1);
  });

  it('everything imports downward only', () => {
    expect(upwardImports(sources)).toEqual([]);
  });

  it('every layer of the table has files', () => {
    const used = new Set(sources.map(({ path }) => layerOf(path)));
    expect(Object.keys(LAYERS).filter((name) => !used.has(name))).toEqual([]);
  });

  it('the rule finds a cycle of types', () => {
    const a = { path: 'src/base/a.ts', text: "import type { B } from './b.js';" };
    const b = { path: 'src/base/b.ts', text: "export type { A } from './a.js';" };
    expect(cycles([a, b])).toEqual(['src/base/a.ts -> src/base/b.ts -> src/base/a.ts']);
    expect(cycles(sample('src/base/c.ts', "import './c.js';"))).toHaveLength(1);
  });

  it('no file imports itself by any way', () => {
    expect(cycles(sources)).toEqual([]);
  });

  it('a door re-exports, and does nothing else', () => {
    expect(doorsWithCode(sample('lib/driver-api.ts', 'export const a = 1;'))).toHaveLength(1);
    expect(doorsWithCode(sources)).toEqual([]);
  });
});

describe('below the machine there is no time, chance, environment or console', () => {
  it.each([
    'const t = Date.now();',
    'const d = new Date(5);',
    'Math.random()',
    'performance.now()',
    'setTimeout(f, 5);',
    'globalThis.setInterval(f, 5);',
    'const later = setImmediate;',
    'process.env.HOME',
    "console.log('x');",
  ])('the rule finds %s', (text) => {
    for (const path of ['src/hw/x.ts', 'drivers/zip/x.ts'])
      expect(forbiddenGlobals(sample(path, text))).not.toEqual([]);
    expect(forbiddenGlobals(sample('src/machine/x.ts', text))).toEqual([]);
  });

  it('nor is a name in a comment, a string or another object taken for one', () => {
    expect(
      forbiddenGlobals(sample('src/hw/x.ts', "// Date.now\nconst s = 'Math.random'; port.setTimeout(5);")),
    ).toEqual([]);
  });

  it('none is used', () => {
    expect(forbiddenGlobals(sources)).toEqual([]);
  });
});

describe('sizes', () => {
  const body = (lines: number): string => 'f();\n'.repeat(lines);

  it('the rule finds a long file, a long function and a long entry point', () => {
    expect(tooLong(sample('lib/x.ts', body(LINES_PER_FILE)))).toEqual([]);
    expect(tooLong(sample('lib/x.ts', body(LINES_PER_FILE + 1)))).toHaveLength(1);
    expect(tooLong(sample('lib/x.ts', `const g = () => {\n${body(LINES_PER_FUNCTION - 2)}};`))).toEqual([]);
    expect(tooLong(sample('lib/x.ts', `class A { m() {\n${body(LINES_PER_FUNCTION - 1)}} }`))).toHaveLength(
      1,
    );
    expect(tooLong(sample('src/entry/x.ts', body(LINES_PER_ENTRY + 1)))).toHaveLength(1);
  });

  it('no file and no function is too long', () => {
    expect(tooLong(sources)).toEqual([]);
  });

  it('an entry point never waits at its top level: `require` could not load it', () => {
    expect(topLevelAwaits(sample('src/entry/x.ts', 'const a = [await f()];'))).toHaveLength(1);
    expect(topLevelAwaits(sample('src/entry/x.ts', 'for await (const a of f()) g(a);'))).toHaveLength(1);
    expect(topLevelAwaits(sample('src/entry/x.ts', 'const f = async () => await g();'))).toEqual([]);
    expect(topLevelAwaits(sources)).toEqual([]);
  });
});

describe('comments', () => {
  it('every file opens with what it owns', () => {
    expect(headless(sample('lib/x.ts', "import 'a';\n/** Late. */"))).toHaveLength(1);
    expect(headless(sample('lib/x.ts', '#!/usr/bin/env node\n/** Owns it. */'))).toEqual([]);
    expect(headless(sources)).toEqual([]);
  });
});

describe('with types', () => {
  const program = programOf(sources.map(({ path }) => path));
  const isOurs = (path: string): boolean => /^(src|lib|drivers)\//.test(path);

  it('the rules find an export without comment, and an ignored Result', () => {
    const text = `import { ok, okAsync, type Result } from 'neverthrow';
      export const bare = 1;
      /** Said. */
      export const said = (): Result<number, string> => ok(1);
      const later = async () => said();
      said(); okAsync(1); void said(); void later();
      const kept = said(); kept.map((n) => n).match(() => {}, () => {});`;
    const bad = { path: 'src/entry/sample.ts', text };
    const withSample = programOf([], bad);
    expect(undocumented(withSample, bad.path)).toEqual([
      'src/entry/sample.ts exports bare without a doc comment',
    ]);
    expect(ignoredResults(withSample, (path) => path === bad.path)).toHaveLength(4);
  });

  it.each(PUBLIC_ENTRIES)('everything that %s exports has a doc comment', (entry) => {
    expect(undocumented(program, entry)).toEqual([]);
  });

  it('no Result is ignored', () => {
    expect(ignoredResults(program, isOurs)).toEqual([]);
  });
});
