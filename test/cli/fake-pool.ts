/**
 * A pool over node:zlib in the place of a machine, and ways in which it goes wrong. It counts what a real one counts:
 * opening queues costs system calls, moving data costs none.
 */

import type { Transform } from 'node:stream';
import { PassThrough, pipeline, Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { err, errAsync, ok, okAsync } from 'neverthrow';
import type { PieceResult } from '../../lib/piece-streams.js';
import { deviceLost, type WdError } from '../../src/base/errors.js';
import type { CliPool } from '../../src/cli/io.js';

export interface Sabotage {
  /** One bit of the last piece is wrong. */
  readonly flips?: boolean;
  /** What every result says it went through. */
  readonly path?: 'device' | 'software';
  /** What opening the queues answers. */
  readonly unready?: WdError;
  /** Called once a piece has been handed over; then nothing more comes. */
  readonly stalls?: () => void;
  /** Instead of the result of a stream: an error after the first piece. */
  readonly breaks?: WdError;
}

/** What the command asked of the pool. */
export interface Asked {
  ready: unknown[];
  streams: unknown[];
  closed: number;
}

type StreamOptions = { readonly format?: keyof typeof ENCODERS; readonly level?: number } | undefined;

const ENCODERS = { gzip: zlib.createGzip, deflate: zlib.createDeflate, 'deflate-raw': zlib.createDeflateRaw };
const DECODERS = {
  gzip: zlib.createGunzip,
  deflate: zlib.createInflate,
  'deflate-raw': zlib.createInflateRaw,
};

export class FakePool implements CliPool {
  readonly asked: Asked = { ready: [], streams: [], closed: 0 };
  readonly #sabotage: Sabotage;
  #syscalls = 4;
  #requests = 0;

  constructor(sabotage: Sabotage = {}) {
    this.#sabotage = sabotage;
  }

  ready: CliPool['ready'] = (spec) => {
    this.asked.ready.push(spec);
    this.#syscalls += 7;
    const { unready } = this.#sabotage;
    return unready === undefined ? okAsync(undefined) : errAsync(unready);
  };

  compressStream: CliPool['compressStream'] = (source, options) => {
    const { format = 'gzip', level } = (options ?? {}) as NonNullable<StreamOptions>;
    return this.#stream(ENCODERS[format]({ level }), { source, options });
  };

  decompressStream: CliPool['decompressStream'] = (source, options) => {
    const { format } = (options ?? {}) as NonNullable<StreamOptions>;
    return this.#stream(format === undefined ? zlib.createUnzip() : DECODERS[format](), { source, options });
  };

  counters: CliPool['counters'] = () => ({ syscalls: this.#syscalls, pageRequests: 2, wakeups: 1, ticks: 5 });

  describe: CliPool['describe'] = async () => ({
    pid: 42,
    pasid: 7,
    devices: ['zip0', 'zip1'],
    queues: [{ device: 'zip0', queue: 3, qcType: 0, completed: this.#requests, inFlight: 0 }],
    counters: this.counters(),
  });

  close: CliPool['close'] = () => {
    this.asked.closed += 1;
    return okAsync(undefined);
  };

  async *#stream(
    codec: Transform,
    { source, options }: { source: AsyncIterable<Uint8Array>; options: unknown },
  ): AsyncGenerator<PieceResult, void, void> {
    const { flips, stalls, breaks, path = 'device' } = this.#sabotage;
    this.asked.streams.push(options);
    if (this.asked.ready.length === 0) this.#syscalls += 7;
    const via = { path, device: 'zip0', queue: 3, attempts: 1, reason: 'the test said so' };
    const output = pipeline(Readable.from(source, { objectMode: true }), codec, new PassThrough(), () => {});
    try {
      let held: Buffer | null = null;
      for await (const piece of output as AsyncIterable<Buffer>) {
        this.#requests += 1;
        if (held !== null) yield ok({ data: held, via });
        held = piece;
        if (breaks !== undefined) return yield err(breaks);
      }
      if (held === null) return;
      if (flips === true) held[held.length >> 1]! ^= 0x10;
      yield ok({ data: held, via });
      if (stalls === undefined) return;
      stalls();
      await new Promise(() => {});
    } catch (failure) {
      yield err(asError(failure));
    }
  }
}

function asError(failure: unknown): WdError {
  const { code, errno, message } = failure as { code?: string; errno?: number; message: string };
  if (code?.startsWith('Z_') !== true) return deviceLost('the library', message);
  return { kind: 'BadData', code, errno: errno ?? 0, message, retryable: false };
}
