/**
 * The most that node:zlib gives on one thread: one native handle, reset before each buffer and written to
 * synchronously, without a stream around it. Twice its throughput is the ideal of two cores.
 *
 * The handle is not public. Its shape is tried once; where it is missing or answers wrong, the public synchronous
 * call takes its place and the note says so.
 */
import { constants, createDeflateRaw, createInflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Operation, SyncCodec } from '../codec.js';
import { zlibSync } from './zlib.js';

interface Handle {
  reset(): void;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputBytes: number,
    output: Uint8Array,
    outputOffset: number,
    outputBytes: number,
  ): void;
  onerror: (message: string, errno: number, code: string) => void;
}

/** The part of a zlib stream that this file relies on. */
interface StreamInside {
  readonly _handle?: Handle;
  /** [output bytes left, input bytes left] after a write. */
  readonly _writeState?: Uint32Array;
}

/** Room for the output of the inputs of the benchmark, with a spare byte that proves that it was enough. */
const OUTPUT_BYTES = 2 * 1024 * 1024;

/** A reused handle, with where it comes from. */
interface ReusedHandle extends SyncCodec {
  readonly note: string;
}

function handleCodec(operation: Operation): SyncCodec | null {
  const deflating = operation.direction === 'deflate';
  const stream = deflating ? createDeflateRaw({ level: operation.level }) : createInflateRaw();
  const { _handle: handle, _writeState: state } = stream as unknown as StreamInside;
  if (typeof handle?.reset !== 'function' || typeof handle.writeSync !== 'function') return null;
  if (!(state instanceof Uint32Array)) return null;
  const output = Buffer.alloc(OUTPUT_BYTES);
  let failure: string | null = null;
  handle.onerror = (message) => {
    failure = message;
  };
  const transform = (input: Uint8Array): Uint8Array => {
    failure = null;
    handle.reset();
    handle.writeSync(constants.Z_FINISH, input, 0, input.length, output, 0, output.length);
    if (failure !== null) throw new Error(`reused zlib handle: ${failure}`);
    if (state[0] === 0) throw new Error(`reused zlib handle: output over ${OUTPUT_BYTES} bytes`);
    return output.subarray(0, output.length - state[0]);
  };
  return { name: 'reused-handle', transform };
}

/** Whether the codec answers two buffers in a row correctly. */
function works(codec: SyncCodec, operation: Operation): boolean {
  return ['first text', 'second text'].every((text) => {
    const plain = Buffer.from(text);
    try {
      const deflating = operation.direction === 'deflate';
      const answer = codec.transform(deflating ? plain : deflateRawSync(plain));
      return plain.equals(deflating ? inflateRawSync(answer) : answer);
    } catch {
      return false;
    }
  });
}

/** One handle for all buffers, or the public call where there is no such handle. */
export function reusedHandle(operation: Operation): ReusedHandle {
  const codec = handleCodec(operation);
  if (codec !== null && works(codec, operation))
    return { ...codec, note: 'ideal = 2 x one reused zlib handle' };
  return { ...zlibSync(operation), note: 'ideal = 2 x the synchronous call (no reusable zlib handle here)' };
}
