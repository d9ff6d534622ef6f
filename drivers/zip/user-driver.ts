/**
 * How user space talks to the compression accelerator: operations `compress` and `decompress`.
 *
 * The pieces: parameters (user-options.ts), SQEs (user-sqe.ts), the heads of containers (user-header.ts), what
 * a decoder does around the device (user-decode.ts), and the way without one (user-software.ts).
 */
import type { Result } from 'neverthrow';
import type {
  BlockPart,
  BlockPlan,
  InvalidArgument,
  Operation,
  OperationSpec,
  UserDriver,
} from '../../lib/driver-api.js';
import { trailerKinds } from './checksum-trailer.js';
import { type RequestKind, ZIP_BYTES_MAX, ZIP_DICTIONARY_BYTES_MAX } from './layout.js';
import { decodePlans } from './user-decode.js';
import { headerOf } from './user-header.js';
import { type Coding, checkCompress, checkDecompress } from './user-options.js';
import { softwareBlock, softwareCompress, softwareDecompress } from './user-software.js';
import { compressBlock, compressStream, compressWhole, decompressWhole } from './user-sqe.js';
import { decodesTo } from './user-verify.js';

const NOTHING = new Uint8Array(0);
/** An empty last block with fixed codes (RFC 1951, section 3.2.3). */
const LAST_BLOCK = Uint8Array.of(0x03, 0x00);
/** Whatever the input, its output still fits the room of one request. */
const COMPRESS_BYTES_MAX = (ZIP_BYTES_MAX / 8) * 7;

/** Lines of the `algorithms` attribute. */
const algorithms: Readonly<Record<RequestKind, string>> = { raw: 'deflate', zlib: 'zlib', gzip: 'gzip' };

function compress(kind: RequestKind, coding: Coding): Operation {
  return {
    algorithm: algorithms[kind],
    requestBytesMax: COMPRESS_BYTES_MAX,
    oneShot: compressWhole(kind, coding),
    header: headerOf(kind, coding),
    blocks: blockPlan(kind, coding),
    stream: compressStream(kind, coding),
    verify: (input, output) => decodesTo(kind, output, input),
    ...softwareCompress(kind, coding),
  };
}

function blockPlan(kind: RequestKind, coding: Coding): BlockPlan {
  const format = compressBlock(kind, coding);
  // Bytes beyond the window cannot be referred to.
  const dictionaryBytes = Math.min(ZIP_DICTIONARY_BYTES_MAX, 2 ** coding.windowBits);
  return {
    format,
    dictionaryBytes,
    software: (bytes, dictionary) => softwareBlock(kind, coding, { bytes, dictionary }),
    trailer: (parts) => endOf(kind, parts),
  };
}

/** The end of a stream that was put together: its last block, and the trailer of the whole. */
function endOf(kind: RequestKind, parts: readonly BlockPart[]): Uint8Array {
  const sums = trailerKinds[kind];
  let checksum = sums.empty;
  let totalBytes = 0;
  for (const part of parts) {
    checksum = sums.combine(checksum, part.checksum, part.inputBytes);
    totalBytes += part.inputBytes;
  }
  return Uint8Array.of(...LAST_BLOCK, ...sums.trailer(checksum, totalBytes));
}

function decompress(kind: RequestKind | 'auto'): Operation {
  const named = kind === 'auto' ? 'gzip' : kind;
  return {
    algorithm: algorithms[named],
    requestBytesMax: ZIP_BYTES_MAX,
    oneShot: decompressWhole(named),
    header: NOTHING,
    decode: decodePlans[kind],
    verify: (input, output) => decodesTo(kind, input, output),
    ...softwareDecompress(kind),
  };
}

function prepare({ op, parameters }: OperationSpec): Result<Operation, InvalidArgument> {
  if (op === 'decompress') return checkDecompress(parameters).map(decompress);
  return checkCompress(parameters).map(({ kind, coding }) => compress(kind, coding));
}

/** Drives every device with the SQE format of the queue manager from version 3 on. */
export const zipUserDriver: UserDriver = {
  name: 'zip',
  drives: (api) => api === 'hisi_qm_v3',
  operations: ['compress', 'decompress'],
  prepare,
};
