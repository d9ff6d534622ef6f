/**
 * The second opinion: node:zlib reads the compressed stream, piece by piece beside the work, and what it makes of it
 * must be what we took for the original. Only digests are kept, so memory does not grow with the input.
 */
import { createHash } from 'node:crypto';
import type { Transform } from 'node:stream';
import { createGunzip, createInflate, createInflateRaw, createUnzip } from 'node:zlib';
import { KiB } from '../base/units.js';
import type { CliRequest } from './arguments.js';
import { write } from './io.js';

/** Length and SHA-256 of a run of bytes, growing. */
export class Digest {
  bytes = 0;
  readonly #hash = createHash('sha256');

  update(piece: Uint8Array): void {
    this.bytes += piece.length;
    this.#hash.update(piece);
  }

  /** Hexadecimal; ends the digest. */
  sha256(): string {
    return this.#hash.digest('hex');
  }
}

/** What node:zlib made of a stream: a digest of its output, or why it could not. */
type Reading = { readonly sha256: string } | { readonly failure: string };

const READERS = { gzip: createGunzip, zlib: createInflate, deflate: createInflateRaw, auto: createUnzip };

/** Reads one compressed stream with node:zlib. */
export class Verifier {
  readonly #stream: Transform;
  readonly #reading: Promise<Reading>;
  #over = false;
  #taken: Promise<void> = Promise.resolve();

  constructor(format: CliRequest['format']) {
    this.#stream = READERS[format]({ chunkSize: 256 * KiB });
    this.#reading = new Promise((resolve) => {
      const digest = new Digest();
      this.#stream.on('data', (piece: Uint8Array) => digest.update(piece));
      this.#stream.on('end', () => resolve({ sha256: digest.sha256() }));
      this.#stream.on('error', ({ message }) => resolve({ failure: message }));
    });
    void this.#reading.then(() => {
      this.#over = true;
    });
  }

  /** Takes the next piece while the one before it is still being read, never more. Does not reject. */
  async take(piece: Uint8Array): Promise<void> {
    await this.#taken;
    // What follows the end of the stream is not read, as node:zlib itself does not.
    if (this.#over) return;
    // A failure is in the reading; node:zlib does not answer the write that it fails in.
    this.#taken = Promise.race([write(this.#stream, piece).catch(() => {}), this.#reading.then(() => {})]);
  }

  /** The stream is complete: what it came to. */
  async reading(): Promise<Reading> {
    await this.#taken;
    if (!this.#over) this.#stream.end();
    return this.#reading;
  }
}
