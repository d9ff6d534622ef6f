/**
 * The stress run: several processes at once on one machine of threads, their copies in flight on two engines, until it is
 * time to stop; each forks children that do the same for a while. Ends with every byte looked at, and all processes gone.
 *
 * All processes live on the calling thread: a platform belongs to the thread that asked the machine for it. Engines and
 * the kernel run beside it, so what they do meets these processes at any point.
 */
import { prngStream } from '../../src/base/prng.js';
import { MiB } from '../../src/base/units.js';
import type { Platform } from '../../src/uapi/syscall.js';
import { Actor, QUOTA_FRAMES } from './actor.js';
import { Tally } from './tally.js';

const PROCESSES = 4;
/** Rounds between two forks of a process, and of its child. */
const ROUNDS_A_LIFE = 60;
const HANG_LOOK_MS = 500;
/** What is left to the processes and their children, with some room: frames go from hand to hand at once. */
const ROOM_BYTES = 6 * MiB;

/** A stress run. */
export interface StressOptions {
  /** Makes a process that may hold `quotaFrames` frames; all there are unless given. */
  readonly createProcess: (quotaFrames?: number) => Promise<Platform>;
  readonly seed: number;
  /** Asked before each life of a process, with the lives that it has had: whether there is another one. */
  readonly goesOn: (lives: number) => boolean;
}

/** What it found; `findings` says what was wrong, in words. */
export interface StressReport {
  readonly operations: number;
  readonly wrongBytes: number;
  readonly hangs: number;
  readonly findings: readonly string[];
}

/** Runs to the end, or to the first failure, or until something hangs. */
export async function runStress(options: StressOptions): Promise<StressReport> {
  const tally = new Tally();
  const ballast = await fillMemory(options);
  const processes = Array.from({ length: PROCESSES }, (_, index) => live(options, index, tally));
  const hung = watch(tally);
  try {
    await Promise.race([Promise.all(processes), hung.seen]);
  } catch (error) {
    tally.note((error as Error).stack ?? String(error));
  }
  hung.stop();
  if (hung.count() === 0) await ballast.exit();
  for (const process of processes) process.catch(() => {});
  const { operations, wrongBytes, findings } = tally;
  return { operations, wrongBytes, hangs: hung.count(), findings };
}

/** The one line that says how it went. */
export function closingLine({ operations, wrongBytes, hangs }: StressReport): string {
  return `${operations} operations, ${wrongBytes} wrong bytes, ${hangs} hangs`;
}

async function live(options: StressOptions, index: number, tally: Tally): Promise<void> {
  const prng = prngStream(options.seed, `process ${index}`);
  const actor = await Actor.start(await options.createProcess(QUOTA_FRAMES), { prng, tally });
  for (let lives = 0; options.goesOn(lives); lives++) {
    await rounds(actor, ROUNDS_A_LIFE / 2);
    // Its copies are in flight.
    const child = await tally.count('fork', actor.fork());
    await Promise.all([rounds(actor, ROUNDS_A_LIFE / 2), lifeOfChild(child)]);
    await actor.verify();
  }
  await actor.end();
}

async function lifeOfChild(child: Actor): Promise<void> {
  await rounds(child, ROUNDS_A_LIFE / 2);
  await child.verify();
  await child.end();
}

async function rounds(actor: Actor, count: number): Promise<void> {
  for (let round = 0; round < count; round++) await actor.round();
}

/** A process that holds all memory but ROOM_BYTES, in pools, which stay where they are. */
async function fillMemory({ createProcess }: StressOptions): Promise<Platform> {
  const probe = await createProcess();
  const room = await mapPools(probe, Number.POSITIVE_INFINITY);
  await probe.exit();
  const ballast = await createProcess();
  await mapPools(ballast, room - ROOM_BYTES / MiB);
  return ballast;
}

/** Maps up to `count` pools of 1 MiB: how many there was memory for. */
async function mapPools(platform: Platform, count: number): Promise<number> {
  for (let mapped = 0; ; mapped++) {
    if (mapped >= count) return mapped;
    const { ret } = await platform.syscall({
      call: 'mmapAnonymous',
      kind: 'pool',
      bytes: MiB,
      prefault: false,
    });
    if (ret < 0) return mapped;
  }
}

/** Looks for operations that do not end. */
function watch(tally: Tally): { seen: Promise<void>; count: () => number; stop: () => void } {
  let found: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  const seen = new Promise<void>((resolve) => {
    timer = setInterval(() => {
      found = tally.hangs();
      for (const what of found) tally.note(`does not end: ${what}`);
      if (found.length > 0) resolve();
    }, HANG_LOOK_MS);
  });
  return { seen, count: () => found.length, stop: () => clearInterval(timer) };
}
