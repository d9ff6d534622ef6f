/**
 * What node itself does: its native stream, called as node's own classes call it, one write after the other.
 */
import {
  createDeflate,
  createDeflateRaw,
  createGunzip,
  createGzip,
  createInflate,
  createInflateRaw,
} from 'node:zlib';
import type { RequestKind } from '../../../drivers/zip/layout.js';

interface Native {
  writeSync(...write: [number, Uint8Array, number, number, Uint8Array, number, number]): void;
  params(level: number, strategy: number): void;
  close(): void;
  onerror: (message: string, errno: number, code: string) => void;
}

/** What one write came to. After a failure the counts are 0: node does not know them either. */
export interface Written {
  readonly consumed: number;
  readonly output: Buffer;
  /** The room is used up, so node calls again. */
  readonly full: boolean;
  readonly error: { readonly message: string; readonly errno: number; readonly code: string } | null;
}

const makers = {
  compress: { raw: createDeflateRaw, zlib: createDeflate, gzip: createGzip },
  decompress: { raw: createInflateRaw, zlib: createInflate, gzip: createGunzip },
} as const;

export class NodeHandle {
  readonly #native: Native;
  /** [output left, input left]. */
  readonly #state: Uint32Array;
  #error: Written['error'] = null;

  constructor(op: keyof typeof makers, kind: RequestKind, options: object = {}) {
    const stream = makers[op][kind](options) as unknown as { _handle: Native; _writeState: Uint32Array };
    this.#native = stream._handle;
    this.#state = stream._writeState;
    this.#native.onerror = (message, errno, code) => {
      this.#error = { message, errno, code };
    };
  }

  /** One write of `input` with so much room, which is not 0. `flush` by its number. */
  write(input: Uint8Array, room: number, flush: number): Written {
    const output = Buffer.alloc(room);
    this.#error = null;
    this.#native.writeSync(flush, input, 0, input.length, output, 0, room);
    if (this.#error !== null)
      return { consumed: 0, output: Buffer.alloc(0), full: false, error: this.#error };
    const [roomLeft, inputLeft] = [this.#state[0]!, this.#state[1]!];
    const consumed = input.length - inputLeft;
    return { consumed, output: output.subarray(0, room - roomLeft), full: roomLeft === 0, error: null };
  }

  params(level: number, strategy: number): void {
    this.#native.params(level, strategy);
  }

  close(): void {
    this.#native.close();
  }
}
