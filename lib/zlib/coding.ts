/**
 * Options of node:zlib in the words of the library, or why a device cannot honour them. Node has judged them before:
 * what arrives here is valid, and nothing is refused, only left to Node.
 */
import { constants, type ZlibOptions } from 'node:zlib';
import type { CompressOptions, DecompressOptions } from '../options.js';
import type { Kind } from './kinds.js';

/** What to ask a device for; a string says why it cannot be asked. */
export type Coding = CompressOptions | DecompressOptions | string;

const { Z_BLOCK } = constants;
const LEVEL_DEFAULT = 6;
const WINDOW_BITS = { default: 15, min: 9 } as const;
const MEM_LEVEL_DEFAULT = 8;
/** Where zlib cuts stored blocks depends on the room of each of its calls, and those are Node's. */
const LEVEL_0 = 'level 0 only copies, which no device does better';

/** Why Node decodes a stream with a small window. */
export const SMALL_WINDOW = 'the data ask for a smaller window than that of the device';

/** What `options` ask a device for. */
export function codingOf(kind: Kind, options: ZlibOptions): Coding {
  if (options.dictionary !== undefined) return 'the device takes no dictionary';
  return kind.op === 'compress' ? encoding(kind, options) : decoding(kind, options);
}

function encoding({ format }: Kind, options: ZlibOptions): Coding {
  const windowBits = whole(options.windowBits, WINDOW_BITS.default);
  if (windowBits < WINDOW_BITS.min) return 'the device has no window of 256 bytes';
  const level = levelOf(whole(options.level, -1));
  if (level === 0) return LEVEL_0;
  return {
    format: format as NonNullable<CompressOptions['format']>,
    level,
    strategy: whole(options.strategy, 0),
    memLevel: whole(options.memLevel, MEM_LEVEL_DEFAULT),
    windowBits,
  };
}

/** A whole level as the device has it: -1 is zlib's name for its default. */
export function levelOf(level: number): number {
  return level === -1 ? LEVEL_DEFAULT : level;
}

/** A number as Node's native side takes it: fractions are cut off, and what is none has its default. */
function whole(value: unknown, fallback: number): number {
  // Adding zero turns -0 into 0.
  return typeof value === 'number' && !Number.isNaN(value) ? Math.trunc(value) + 0 : fallback;
}

function decoding({ format }: Kind, { windowBits, flush, finishFlush }: ZlibOptions): Coding {
  // 0 takes the window from the header, which says 15 at most, and so does the device.
  if (whole(windowBits, WINDOW_BITS.default) % WINDOW_BITS.default !== 0) {
    return 'the device decodes with the largest window only';
  }
  if (flush === Z_BLOCK || finishFlush === Z_BLOCK) return 'the device does not stop at the ends of blocks';
  return { format };
}

const METHOD_DEFLATE = 8;
const LARGEST_WINDOW = 7;

/**
 * Whether data for `kind` begin as a zlib stream (RFC 1950, section 2.2) with a window that is smaller than the device's.
 * zlib refuses distances beyond it, and what it takes for beyond depends on the room of each of its calls.
 */
export function hasSmallWindow({ format }: Kind, head: Uint8Array): boolean {
  const [method = 0] = head;
  if (format !== 'deflate' && format !== 'auto') return false;
  return (method & 0xf) === METHOD_DEFLATE && method >>> 4 < LARGEST_WINDOW;
}
