/**
 * The same operations without a device: node:zlib, off the calling thread or on it, with the library's errors.
 * The checksum of the result is not known here, and reported as 0.
 */
import {
  constants,
  deflate,
  deflateRaw,
  deflateRawSync,
  deflateSync,
  gunzip,
  gunzipSync,
  gzip,
  gzipSync,
  inflate,
  inflateRaw,
  inflateRawSync,
  inflateSync,
  unzip,
  unzipSync,
  type ZlibOptions,
} from 'node:zlib';
import { err, ok, type Result } from 'neverthrow';
import {
  badData,
  type Operation,
  outputTooLarge,
  type SoftwareOutput,
  type WdError,
} from '../../lib/driver-api.js';
import { trailerKinds } from './checksum-trailer.js';
import type { RequestKind } from './layout.js';
import type { Coding } from './user-options.js';

type Output = Result<SoftwareOutput, WdError>;
type Software = Pick<Operation, 'software' | 'softwareSync'>;

/** One call of node:zlib in its two forms. */
interface NodeCall {
  later(input: Uint8Array, options: ZlibOptions, done: (error: Error | null, data: Buffer) => void): void;
  now(input: Uint8Array, options: ZlibOptions): Buffer;
}

const compressors: Readonly<Record<RequestKind, NodeCall>> = {
  raw: { later: deflateRaw, now: deflateRawSync },
  zlib: { later: deflate, now: deflateSync },
  gzip: { later: gzip, now: gzipSync },
};

const decompressors: Readonly<Record<RequestKind | 'auto', NodeCall>> = {
  raw: { later: inflateRaw, now: inflateRawSync },
  zlib: { later: inflate, now: inflateSync },
  gzip: { later: gunzip, now: gunzipSync },
  auto: { later: unzip, now: unzipSync },
};

/** Compression with `coding`. */
export function softwareCompress(kind: RequestKind, coding: Coding): Software {
  return software(compressors[kind], coding);
}

/** Decompression of a container, or of either by its head. */
export function softwareDecompress(kind: RequestKind | 'auto'): Software {
  return software(decompressors[kind], {});
}

/** One block of a stream that is put together: `bytes`, with `dictionary` before them, up to a byte boundary. */
export function softwareBlock(
  kind: RequestKind,
  coding: Coding,
  { bytes, dictionary }: { readonly bytes: Uint8Array; readonly dictionary: Uint8Array },
): Promise<SoftwareOutput> {
  const history = dictionary.length > 0 ? { dictionary } : {};
  return new Promise((resolve, reject) => {
    deflateRaw(bytes, { ...coding, ...history, finishFlush: constants.Z_SYNC_FLUSH }, (error, data) => {
      const sums = trailerKinds[kind];
      if (error === null) resolve({ data, checksum: sums.add(sums.empty, bytes) });
      else reject(error);
    });
  });
}

function software(call: NodeCall, coding: Coding | Record<string, never>): Software {
  return {
    software: (input, { maxOutputBytes }) =>
      new Promise<Output>((resolve, reject) => {
        call.later(input, { ...coding, maxOutputLength: maxOutputBytes }, (error, data) => {
          try {
            resolve(error === null ? made(data) : failed(error, maxOutputBytes));
          } catch (unknown) {
            reject(unknown);
          }
        });
      }),
    softwareSync(input, { maxOutputBytes }) {
      try {
        return made(call.now(input, { ...coding, maxOutputLength: maxOutputBytes }));
      } catch (error) {
        return failed(error, maxOutputBytes);
      }
    },
  };
}

function made(data: Uint8Array): Output {
  return ok({ data, checksum: 0 });
}

const BAD_DATA_CODES = ['Z_DATA_ERROR', 'Z_BUF_ERROR', 'Z_NEED_DICT'];

/** What node says of the input or the limit is an answer; anything else is thrown on. */
function failed(error: unknown, maxOutputBytes: number): Output {
  const { code, errno, message } = error as { code?: string; errno?: number; message: string };
  if (code === 'ERR_BUFFER_TOO_LARGE') return err(outputTooLarge(maxOutputBytes));
  if (code === undefined || errno === undefined || !BAD_DATA_CODES.includes(code)) throw error;
  return err(badData({ code, errno, message }));
}
