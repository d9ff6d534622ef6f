/**
 * Real machines for tests, from the built package: workers start from dist/, so everything here is imported by the
 * package's own name.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Pool } from 'warpdrive';
import {
  type MachineConfig,
  type MachineDriver,
  openPool,
  startThreaded,
  type ThreadedMachine,
} from 'warpdrive/sim';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** URL of a driver that comes with the package, or of a fixture. */
function driverUrl(name: string): string {
  if (name === 'deadly') return new URL('./fixtures/deadly.mjs', import.meta.url).href;
  return pathToFileURL(require.resolve(`warpdrive/drivers/${name}`)).href;
}

export interface Threaded {
  readonly machine: ThreadedMachine;
  readonly pool: Pool;
  /** Closes the pool, then the machine. */
  close(): Promise<void>;
}

/** The driver modules, loaded here. */
export async function loadDrivers(names: readonly string[]): Promise<MachineDriver[]> {
  const distinct = [...new Set(names)];
  const modules = await Promise.all(distinct.map((name) => import(/* @vite-ignore */ driverUrl(name))));
  return (modules as { default: MachineDriver }[]).map((module) => module.default);
}

/** A machine with instances of the named drivers, e.g. `['copy', 'copy']`, and a pool on it. */
export async function startMachine(
  names: readonly string[],
  options: Pick<MachineConfig, 'invalidationTimeoutNs'> = {},
): Promise<Threaded> {
  const distinct = [...new Set(names)];
  const instances = names.map((driver, index) => ({ id: `${driver}${index}`, driver }));
  const driverUrls = Object.fromEntries(distinct.map((name) => [name, driverUrl(name)]));
  const config = { memoryBytes: 128 * 1024 * 1024, instances, ...options };
  const machine = (await startThreaded({ config, driverUrls }))._unsafeUnwrap();
  const pool = (await openPool(machine, await loadDrivers(names)))._unsafeUnwrap();
  const close = async (): Promise<void> => {
    (await pool.close())._unsafeUnwrap();
    await machine.close();
  };
  return { machine, pool, close };
}

/** What a program did. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `program` in a node of its own, which is killed if it does not end by itself within `limitMs`. */
export function runProgram(
  program: string,
  args: readonly string[] = ['--input-type=module'],
  limitMs = 30_000,
) {
  return new Promise<Ended>((resolve) => {
    const child = spawn(process.execPath, [...args, '-e', program], { cwd: root, timeout: limitMs });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (text: Buffer) => {
      output.stdout += text;
    });
    child.stderr.on('data', (text: Buffer) => {
      output.stderr += text;
    });
    child.on('close', (code, signal) => resolve({ code, signal, ...output }));
  });
}

/** CPU time that a thread has used, ns; null where the system does not tell. */
export function threadCpuNs(threadId: number | null): number | null {
  if (threadId === null) return null;
  try {
    return Number(readFileSync(`/proc/self/task/${threadId}/schedstat`, 'utf8').split(' ')[0]);
  } catch {
    return null;
  }
}

/** Threads of this process; null where the system does not tell. */
export function threadCount(): number | null {
  try {
    return readdirSync('/proc/self/task').length;
  } catch {
    return null;
  }
}

/** Asks again and again, with turns of the event loop in between, until `answer` holds; the test's timeout ends it. */
export async function until(answer: () => boolean): Promise<void> {
  while (!answer()) await new Promise((resolve) => setTimeout(resolve, 5));
}
