/**
 * Who may import whom: the table of docs/architecture.md, and the two rules that hold it, upward imports and cycles.
 * Every way to import counts: statements, re-exports, `import()` and types.
 */
import { posix } from 'node:path';
import ts from 'typescript';
import { nodesOf, parse, type Source } from './sources.js';

interface Layer {
  /** Which files it holds; the first layer that matches counts. */
  readonly files: RegExp;
  /** Names of the layers that it may import, itself excepted. */
  readonly imports: readonly string[];
  /** Packages and builtins that it may import. */
  readonly packages: readonly string[];
}

/** Who may import whom: docs/architecture.md. Upper-case letters never appear in a driver's name. */
export const LAYERS: Readonly<Record<string, Layer>> = {
  base: { files: /^src\/base\//, imports: [], packages: ['ring-buffer-ts'] },
  uapi: { files: /^src\/uapi\//, imports: ['base'], packages: [] },
  hw: { files: /^src\/hw\//, imports: ['base', 'uapi'], packages: [] },
  coproc: { files: /^src\/coproc\//, imports: ['base', 'uapi', 'hw'], packages: ['neverthrow'] },
  kernel: { files: /^src\/kernel\//, imports: ['base', 'uapi', 'hw'], packages: [] },
  'device door': {
    files: /^src\/driver-api\.ts$/,
    imports: ['base', 'hw', 'coproc', 'kernel'],
    packages: [],
  },
  'user door': { files: /^lib\/driver-api\.ts$/, imports: ['base', 'lib'], packages: ['neverthrow'] },
  lib: {
    files: /^lib\//,
    imports: ['base', 'uapi', 'user door'],
    packages: [
      'neverthrow',
      'node:async_hooks',
      'node:buffer',
      'node:crypto',
      'node:diagnostics_channel',
      'node:events',
      'node:os',
      'node:perf_hooks',
      'node:stream',
      'node:util/types',
      // To mark memory that must not be transferred, not to start threads.
      'node:worker_threads',
      'node:zlib',
    ],
  },
  'driver layout': { files: /^drivers\/[^/]+\/layout\.ts$/, imports: ['base'], packages: [] },
  'driver device': {
    files: /^drivers\/[^/]+\/(device|kernel-driver).*\.ts$/,
    imports: ['device door', 'driver layout', 'driver shared'],
    packages: ['node:crypto', 'node:zlib'],
  },
  'driver user': {
    files: /^drivers\/[^/]+\/user-.*\.ts$/,
    imports: ['user door', 'driver layout', 'driver shared'],
    packages: ['neverthrow', 'node:buffer', 'node:crypto', 'node:zlib'],
  },
  'driver module': {
    files: /^drivers\/[^/]+\/index\.ts$/,
    imports: ['device door', 'user door', 'driver layout', 'driver device', 'driver user'],
    packages: [],
  },
  // Codecs, checksums: what device and user driver share knows nothing of the project but their layout.
  'driver shared': {
    files: /^drivers\//,
    imports: ['driver layout'],
    packages: ['node:buffer', 'node:crypto', 'node:zlib'],
  },
  machine: {
    files: /^src\/machine\//,
    imports: ['base', 'uapi', 'hw', 'kernel', 'coproc'],
    packages: ['neverthrow', 'node:fs', 'node:os', 'node:path', 'node:url', 'node:worker_threads'],
  },
  cli: {
    files: /^src\/cli\//,
    imports: ['base', 'uapi', 'machine', 'lib', 'entry'],
    packages: [
      'commander',
      'neverthrow',
      'picocolors',
      'node:crypto',
      'node:events',
      'node:fs',
      'node:fs/promises',
      'node:os',
      'node:path',
      'node:stream',
      'node:stream/promises',
      'node:tty',
      'node:url',
      'node:util',
      'node:zlib',
    ],
  },
  entry: {
    files: /^src\/entry\//,
    imports: ['base', 'uapi', 'hw', 'coproc', 'kernel', 'machine', 'lib', 'cli', 'device door', 'user door'],
    packages: ['neverthrow', 'node:os', 'node:worker_threads'],
  },
};

/** What a file imports in any way: statements, re-exports, `import()` and types by `import('...')`. */
function importsOf(source: Source): string[] {
  const found: string[] = [];
  for (const node of nodesOf(parse(source))) {
    const named =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node) ? node.moduleSpecifier : undefined;
    const called = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
    const specifier =
      named ?? (called ? node.arguments[0] : ts.isImportTypeNode(node) ? node.argument : undefined);
    const literal =
      specifier !== undefined && ts.isLiteralTypeNode(specifier) ? specifier.literal : specifier;
    if (literal !== undefined && ts.isStringLiteralLike(literal)) found.push(literal.text);
  }
  return found;
}

function targetOf(path: string, specifier: string): string {
  return posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts');
}

export function layerOf(path: string): string | null {
  return Object.entries(LAYERS).find(([, { files }]) => files.test(path))?.[0] ?? null;
}

const driverOf = (path: string): string | null => /^drivers\/([^/]+)\//.exec(path)?.[1] ?? null;

export function upwardImports(all: readonly Source[]): string[] {
  return all.flatMap((source) =>
    importsOf(source).flatMap((specifier) => wrongImport(source.path, specifier)),
  );
}

function wrongImport(path: string, specifier: string): string[] {
  const from = layerOf(path);
  if (from === null) return [`${path} is in no layer`];
  if (!specifier.startsWith('.')) {
    return LAYERS[from]!.packages.includes(specifier)
      ? []
      : [`${path} (${from}) imports package ${specifier}`];
  }
  const target = targetOf(path, specifier);
  const to = layerOf(target);
  const stranger =
    driverOf(path) !== null && driverOf(target) !== null && driverOf(path) !== driverOf(target);
  if (stranger) return [`${path} imports another driver: ${target}`];
  if (to === from || (to !== null && LAYERS[from]!.imports.includes(to))) return [];
  return [`${path} (${from}) imports ${target} (${to ?? 'no layer'})`];
}

/** Strongly connected files, each as `a -> b -> a`. */
export function cycles(all: readonly Source[]): string[] {
  const edges = new Map(
    all.map((source) => [
      source.path,
      importsOf(source)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => targetOf(source.path, specifier)),
    ]),
  );
  const found: string[] = [];
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    if (finished.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    finished.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}
