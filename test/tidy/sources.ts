/**
 * The project's own source files, and how the rules of tidy.test.ts walk them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** Root of the package. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** A source file by its path from the root of the package. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

function filesUnder(folder: string): string[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

export const sources: readonly Source[] = ['src', 'lib', 'drivers']
  .flatMap(filesUnder)
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

export function parse({ path, text }: Source): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
}

export function* nodesOf(node: ts.Node): Generator<ts.Node, void, void> {
  yield node;
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => void children.push(child));
  for (const child of children) yield* nodesOf(child);
}
