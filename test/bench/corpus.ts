/**
 * Inputs of the benchmarks: real source text and real machine code, from what every checkout has, the installed
 * packages and the node executable. The order is fixed, so two runs on one checkout see the same bytes.
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { prngStream } from '../../src/base/prng.js';
import { shuffled } from './harness.js';

/** Node_modules of the checkout: the nearest one above this file. */
function packagesDirectory(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules');
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) throw new Error(`no node_modules above ${import.meta.dirname}`);
  }
}

/** Paths below `folder` whose names end as `suffix` says, sorted by name, links not followed. */
function filesBelow(folder: string, suffix: RegExp): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile() && suffix.test(entry.name));
  return files.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
}

function textFiles(): string[] {
  return filesBelow(packagesDirectory(), /\.(ts|js)$/);
}

/** Appends files to `target` from `filled` on, until it is full or the files end; answers the new fill. */
function appendFiles(target: Buffer, options: { paths: readonly string[]; filled: number }): number {
  let filled = options.filled;
  for (const path of options.paths) {
    if (filled === target.length) break;
    const file = openSync(path, 'r');
    filled += readSync(file, target, filled, target.length - filled, 0);
    closeSync(file);
  }
  return filled;
}

/** `bytes` of source text; where the files end, they are repeated in another order. */
export function sourceText(bytes: number): Buffer {
  const target = Buffer.alloc(bytes);
  const prng = prngStream(1, 'corpus order');
  let paths = textFiles();
  let filled = appendFiles(target, { paths, filled: 0 });
  if (filled === 0) throw new Error('no source text found in node_modules');
  while (filled < bytes) {
    paths = shuffled(paths, prng);
    filled = appendFiles(target, { paths, filled });
  }
  return target;
}

/** `bytes` of machine code: half from native addons, the rest from the node executable, repeated if need be. */
export function machineCode(bytes: number): Buffer {
  const target = Buffer.alloc(bytes);
  const addons = target.subarray(0, bytes >> 1);
  let filled = appendFiles(addons, { paths: filesBelow(packagesDirectory(), /\.node$/), filled: 0 });
  while (filled < bytes) filled = appendFiles(target, { paths: [process.execPath], filled });
  return target;
}

/**
 * `count` different slices of `bytes` bytes of source text: each from a file of its own where there are enough that
 * long, otherwise of all files together.
 */
export function textSlices(options: { readonly count: number; readonly bytes: number }): Buffer[] {
  const { count, bytes } = options;
  const long = textFiles().filter((path) => statSync(path).size >= 2 * bytes);
  if (long.length < count) return cutUp(sourceText(count * bytes), bytes);
  const stride = Math.floor(long.length / count);
  return Array.from({ length: count }, (_, index) => {
    const path = long[index * stride];
    // Past the head of the file, which is often a licence text that many files share.
    return ownBuffer(readFileSync(path).subarray(bytes, 2 * bytes));
  });
}

function cutUp(text: Buffer, bytes: number): Buffer[] {
  const starts = Array.from({ length: text.length / bytes }, (_, index) => index * bytes);
  return starts.map((start) => ownBuffer(text.subarray(start, start + bytes)));
}

/** A copy with an ArrayBuffer of its own: a structured clone takes the whole backing store of a view along. */
export function ownBuffer(source: Uint8Array): Buffer {
  const copy = Buffer.alloc(source.length);
  copy.set(source);
  return copy;
}
