/**
 * What the command compresses when no file is named: source text that every checkout has after installing, the
 * project's own and that of the TypeScript compiler which builds it; about 20 MB.
 */
import { createReadStream, type Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from './cli-error.js';
import { packageRoot } from './package-root.js';
import { READ_BYTES, readable, type Source } from './source.js';

const FOLDERS = ['src', 'lib', 'drivers', 'test', join('node_modules', 'typescript', 'lib')];
const SOURCE_TEXT = /\.(ts|js|md)$/;

/** Opens the sample. Throws CliError where there is none. */
export async function openSample(): Promise<Source> {
  const paths = (await Promise.all(FOLDERS.map((folder) => textBelow(join(packageRoot(), folder))))).flat();
  if (paths.length === 0)
    throw new CliError('no source text lies beside this program; name a FILE to compress');
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  return {
    name: `source text of this package and of its compiler, ${paths.length} files`,
    totalBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    file: null,
    pieces: () => concatenated(paths),
    close: async () => {},
  };
}

/** Files in a fixed order, so that two runs on one checkout see the same bytes. */
async function textBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch((): Dirent[] => []);
  const files = entries.filter((entry) => entry.isFile() && SOURCE_TEXT.test(entry.name));
  return files.map((entry) => join(entry.parentPath, entry.name)).sort();
}

async function* concatenated(paths: readonly string[]): AsyncGenerator<Uint8Array, void, void> {
  for (const path of paths) yield* readable(createReadStream(path, { highWaterMark: READ_BYTES }), path);
}
