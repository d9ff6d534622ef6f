/**
 * The internal handle of node:zlib: the native stream behind `createDeflateRaw` and `createInflateRaw`, called
 * synchronously and in place on the caller's memory.
 *
 * It is not public, so its shape is tried once, and whoever finds it changed uses the public calls instead. The
 * handle aborts the whole program on an offset out of bounds and on use after close: both are caught here.
 *
 * Lifetime: the stream object around a handle is never started, has no timer, no libuv handle and no listener,
 * so it does not keep the process alive. `close` frees zlib's memory at once. The stream's own `close()` would
 * do so too, but emits an event in a later tick and so keeps every stream until the program next pauses. A
 * handle that is dropped unclosed is held weakly by node and freed by the garbage collector.
 */
import { createDeflateRaw, createInflateRaw } from 'node:zlib';
import { type DeflateOptions, flushKinds, type InflateOptions } from './codec-types.js';

/** The part of node's native object that is used here. */
interface ZlibHandle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputBytes: number,
    output: Uint8Array,
    outputAt: number,
    outputBytes: number,
  ): void;
  params(level: number, strategy: number): void;
  reset(): void;
  close(): void;
  onerror: (message: string, errno: number, code: string) => void;
}

/** An empty input. */
export const NO_INPUT = new Uint8Array(0);

/** A native stream: one call, and what it left over. */
export class NativeStream {
  /** Input bytes that the last write left. Not valid when it failed. */
  inputLeft = 0;
  /** Output bytes that the last write left free. Not valid when it failed. */
  outputLeft = 0;
  /** The last write failed, for the reason in the next three fields. */
  failed = false;
  errno = 0;
  code = '';
  message = '';
  readonly #handle: ZlibHandle;
  /** [output left, input left] of a write that did not fail. The native side has a bare pointer to it. */
  readonly #writeState: Uint32Array;
  #closed = false;

  /** `stream` is what createDeflateRaw or createInflateRaw made. Throws when its shape is not the known one. */
  constructor(stream: object) {
    const { _handle, _writeState } = stream as { _handle?: unknown; _writeState?: unknown };
    if (!isZlibHandle(_handle) || !(_writeState instanceof Uint32Array) || _writeState.length < 2) {
      throw new Error('the internals of node:zlib have an unknown shape');
    }
    this.#handle = _handle;
    this.#writeState = _writeState;
    // Called inside writeSync, before it returns; the write state is then left as it was.
    _handle.onerror = (message, errno, code) => {
      this.failed = true;
      this.message = message;
      this.errno = errno;
      this.code = code;
    };
  }

  /** Offers `input` from `inputAt` and room in `output` from `outputAt`. `output` is not empty; what is left of it may be. */
  write(flush: number, input: Uint8Array, inputAt: number, output: Uint8Array, outputAt: number): void {
    const inputBytes = input.length - inputAt;
    const outputBytes = output.length - outputAt;
    this.#assertOpen();
    if (inputBytes < 0 || outputBytes < 0 || output.length === 0)
      throw new Error('broken invariant: a write lies inside its arrays');
    this.failed = false;
    this.#handle.writeSync(flush, input, inputAt, inputBytes, output, outputAt, outputBytes);
    this.outputLeft = this.#writeState[0]!;
    this.inputLeft = this.#writeState[1]!;
  }

  /**
   * Another coding from here on. Only right after a reset, or after a flush that left room: else zlib would flush by
   * itself, into the memory of the last write, which is not ours any more.
   */
  params(level: number, strategy: number): void {
    this.#assertOpen();
    this.failed = false;
    this.#handle.params(level, strategy);
    if (this.failed) throw new Error(`broken invariant: a coding is changed in its range (${this.message})`);
  }

  /** Back to the beginning of a stream, also after a failure; a dictionary is set again by node, a coding stays. */
  reset(): void {
    this.#assertOpen();
    this.#handle.reset();
    this.failed = false;
  }

  /** Frees the native memory; a second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handle.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error('broken invariant: a codec is not used after close');
  }
}

function isZlibHandle(value: unknown): value is ZlibHandle {
  const handle = value as Partial<ZlibHandle> | null | undefined;
  return (
    typeof handle?.writeSync === 'function' &&
    typeof handle.params === 'function' &&
    typeof handle.reset === 'function' &&
    typeof handle.close === 'function'
  );
}

/** Opens a native deflate stream. */
export function openDeflate(options: DeflateOptions): NativeStream {
  const { level, windowBits, memLevel, strategy, dictionary } = options;
  return new NativeStream(createDeflateRaw({ level, windowBits, memLevel, strategy, dictionary }));
}

/** Opens a native inflate stream. */
export function openInflate({ windowBits, dictionary }: InflateOptions): NativeStream {
  return new NativeStream(createInflateRaw({ windowBits, dictionary }));
}

let handleWorks: boolean | undefined;

/** Whether handles have the shape that this file knows, found out by the first call. */
export function handleIsUsable(): boolean {
  handleWorks ??= tryHandle();
  return handleWorks;
}

/** Compresses and decodes a known text, twice with a reset, changes the coding, and meets an error. Any surprise is a no. */
function tryHandle(): boolean {
  const deflate = { level: 1, windowBits: 15, memLevel: 8, strategy: 0 };
  const text = new Uint8Array(300).map((_, at) => at % 7);
  try {
    const [packer, unpacker] = [openDeflate(deflate), openInflate({ windowBits: 15 })];
    const passed =
      survives(packer, unpacker, text) &&
      reportsErrors(unpacker) &&
      changesCoding(packer, text) &&
      survives(packer, unpacker, text);
    packer.close();
    unpacker.close();
    return passed;
  } catch {
    return false;
  }
}

function survives(packer: NativeStream, unpacker: NativeStream, text: Uint8Array): boolean {
  const packed = new Uint8Array(400);
  const unpacked = new Uint8Array(400);
  packer.reset();
  unpacker.reset();
  packer.write(flushKinds.finish, text, 0, packed, 0);
  const packedBytes = packed.length - packer.outputLeft;
  unpacker.write(flushKinds.sync, packed.subarray(0, packedBytes), 0, unpacked, 0);
  const unpackedBytes = unpacked.length - unpacker.outputLeft;
  return unpackedBytes === text.length && text.every((byte, at) => byte === unpacked[at]);
}

/** At level 0 a text stands in the output as it is, at any other this one does not. */
function changesCoding(packer: NativeStream, text: Uint8Array): boolean {
  const packed = new Uint8Array(400);
  packer.reset();
  packer.write(flushKinds.sync, text, 0, packed, 0);
  const packedBytes = packed.length - packer.outputLeft;
  packer.params(0, 0);
  packer.write(flushKinds.sync, text, 0, packed, 0);
  const storedBytes = packed.length - packer.outputLeft;
  return packedBytes < text.length && storedBytes > text.length;
}

function reportsErrors(unpacker: NativeStream): boolean {
  unpacker.reset();
  unpacker.write(flushKinds.sync, new Uint8Array([7]), 0, new Uint8Array(8), 0);
  return unpacker.failed && unpacker.code === 'Z_DATA_ERROR' && unpacker.errno === -3;
}
