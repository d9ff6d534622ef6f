// Do the pages still speak of what is there? Every link between them, and every path of the tree that they name, must
// lead to something.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.startsWith('api'))
    .map((name) => join('docs', name)),
];

/** Paths from the root of the tree in a page: `src/hw/engine.ts`, `drivers/copy`; patterns are not paths. */
function pathsIn(text: string): string[] {
  const named = text.matchAll(/`((?:src|lib|drivers|test|docs|\.ci)\/[\w./-]+)`/g);
  return [...named].map(([, path]) => path!);
}

function linksIn(text: string): string[] {
  return [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target]) => target!);
}

test.for(pages)('%s names only paths and pages that exist', (page) => {
  const text = readFileSync(join(root, page), 'utf8');
  const missing = [
    ...pathsIn(text).filter((path) => path !== 'docs/api' && !existsSync(join(root, path))),
    ...linksIn(text).filter((target) => !existsSync(join(root, dirname(page), target))),
  ];
  expect(missing).toEqual([]);
});

test('source that sends its reader to a page sends them to one that exists', () => {
  const sources = ['src', 'lib', 'drivers'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  );
  const missing = sources.flatMap((source) => {
    const named = readFileSync(join(root, source), 'utf8').matchAll(/docs\/[\w./-]+\.md/g);
    return [...named].filter(([path]) => !existsSync(join(root, path))).map(([path]) => `${source}: ${path}`);
  });
  expect(missing).toEqual([]);
});
