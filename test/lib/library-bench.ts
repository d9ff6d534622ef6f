/**
 * A pool on an inline machine, and data to send through it: what the tests of the user library start from.
 *
 * Between two awaits the machine stands still, so requests that are sent without one are all held at once.
 */
import copy from '../../drivers/copy/index.js';
import zip from '../../drivers/zip/index.js';
import type { Pool } from '../../lib/pool.js';
import { prngStream } from '../../src/base/prng.js';
import { Machine, type MachineDriver, openPool } from '../../src/entry/sim.js';

export interface LibraryOptions {
  /** Compression engines, default 1; 0 leaves a machine that can only copy. */
  readonly engines?: number;
  readonly seed?: number;
}

export interface Library {
  readonly machine: Machine;
  readonly pool: Pool;
}

/** A machine with compression engines and one copy engine, and a pool with both user drivers. */
export function openLibrary({ engines = 1, seed = 1 }: LibraryOptions = {}): Promise<Library> {
  const zips = Array.from({ length: engines }, (_, index) => ({ id: `zip${index}`, driver: 'zip' }));
  return openMachine({ drivers: [zip, copy], instances: [...zips, { id: 'copy0', driver: 'copy' }], seed });
}

/** A pool on a machine of other drivers. */
export async function openMachine(options: {
  readonly drivers: readonly MachineDriver[];
  readonly instances?: readonly { readonly id: string; readonly driver: string }[];
  readonly seed?: number;
}): Promise<Library> {
  const machine = Machine.create(options)._unsafeUnwrap();
  return { machine, pool: (await openPool(machine, options.drivers))._unsafeUnwrap() };
}

const WORDS = 'queue doorbell phase tail head slot ring page fault engine copy tag depth frame'.split(' ');

/** Words of a text; it begins again after these, which is further than deflate looks back. */
const TEXT_WORDS = 20_000;
const texts = new Map<number, string>();

/** Text that compresses about as well as prose; the same for the same seed. */
export function sampleText(bytes: number, seed = 1): Buffer {
  const text = texts.get(seed) ?? makeText(seed);
  texts.set(seed, text);
  return Buffer.alloc(bytes, text);
}

function makeText(seed: number): string {
  const random = prngStream(seed, 'text');
  const word = (): string => `${WORDS[random.below(WORDS.length)]}${random.below(50)} `;
  return Array.from({ length: TEXT_WORDS }, word).join('');
}

/** Bytes that do not compress; the same for the same seed. */
export function randomBytes(bytes: number, seed = 1): Buffer {
  const random = prngStream(seed, 'bytes');
  const words = Uint32Array.from({ length: Math.ceil(bytes / 4) }, () => random.next());
  return Buffer.from(words.buffer, 0, bytes);
}
