// Makes a fresh clone usable: installs from the lock file when node_modules is missing or older than the
// lock file, and builds when a source is newer than dist/. Plain JavaScript on purpose: it runs before anything
// is installed. Says what it does on stderr only, so that stdout stays the program's own.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => join(root, ...parts);
const modifiedMs = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function newestMs(path) {
  const entry = statSync(path);
  if (!entry.isDirectory()) return entry.mtimeMs;
  return readdirSync(path).reduce((newest, name) => Math.max(newest, newestMs(join(path, name))), 0);
}

function step(label, command, args) {
  process.stderr.write(`warpdrive: ${label}\n`);
  const shell = process.platform === 'win32';
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8', shell });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}${error ? `${error.message}\n` : ''}`);
  process.stderr.write(`warpdrive: failed: ${command} ${args.join(' ')}\n`);
  process.exit(1);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`warpdrive: needs Node >= 20.19, this is ${process.version}\n`);
  process.exit(1);
}

const installed = at('node_modules', '.package-lock.json');
if (modifiedMs(installed) < modifiedMs(at('package-lock.json'))) {
  step('installing from the lock file', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

const sources = [
  'src',
  'lib',
  'drivers',
  // Programs, and what they share with tests.
  ...['bench', 'checking', 'coproc', 'docs', 'hw', 'stress', 'study', 'vectors'].map((folder) =>
    join('test', folder),
  ),
  'tsconfig.json',
  'package.json',
];
const newestSource = Math.max(...sources.map((name) => newestMs(at(name))));
const builtAt = modifiedMs(at('dist', '.tsbuildinfo'));
if (builtAt < newestSource) {
  // A deleted source must not live on in dist/.
  rmSync(at('dist'), { recursive: true, force: true });
  step('building', process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json']);
}
