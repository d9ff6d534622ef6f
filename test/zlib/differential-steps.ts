/**
 * A small language for what is done to a stream of zlib, and the interpreter that notes everything that then happens,
 * in order: what each call returned or threw, each callback, each event with its bytes.
 */
import type { Transform } from 'node:stream';
import type * as node from 'node:zlib';
import { plain, tallyOf, turns, within, type Zlib } from './observe.js';

/**
 * What is done to a stream. `settle` waits until every callback so far was called, or the stream is closed; all others
 * are done at once.
 */
export type Step =
  | readonly ['write', unknown, BufferEncoding?]
  | readonly ['end', unknown?]
  | readonly ['flush', unknown?]
  | readonly ['params', unknown, unknown]
  | readonly ['reset' | 'close' | 'settle' | 'pause' | 'resume' | 'cork' | 'uncork']
  | readonly ['destroy', string?];

/** A stream of node:zlib, with the members that all of them have. */
export type ZlibStream = Transform & node.Zlib & node.ZlibParams & node.ZlibReset;

/** How the output is read: as it comes, or only when all steps are done. */
export type Reading = 'flowing' | 'late';

/** Names of the seven accelerated classes. */
export const CLASSES = ['Deflate', 'Inflate', 'Gzip', 'Gunzip', 'DeflateRaw', 'InflateRaw', 'Unzip'] as const;
/** Those that compress. */
export const COMPRESSORS = ['Deflate', 'Gzip', 'DeflateRaw'] as const;

/** Steps that are given a callback. */
const CALL_BACK: readonly string[] = ['write', 'end', 'flush', 'params', 'close'];
/** Events that tell about the listeners and not about the stream. */
const LISTENER_EVENTS = ['newListener', 'removeListener'];
/** Events that tell about the reader. When it reads at times of its own, their place among the others is chance. */
export const READER_EVENTS = ['resume', 'pause', 'readable'];

/** Makes the stream of the class of that name. */
export function make(zlib: Zlib, className: string, options?: unknown): ZlibStream {
  return Reflect.construct(Reflect.get(zlib, className) as () => void, [options]) as ZlibStream;
}

/** Notes each event of `stream` in `log`, in order, but for those of the names in `except`. */
export function noteEvents(stream: ZlibStream, log: string[], except: readonly string[] = []): void {
  const emit = stream.emit.bind(stream);
  stream.emit = (event: string, ...values: unknown[]): boolean => {
    if (!LISTENER_EVENTS.includes(event) && !except.includes(event))
      log.push([event, ...values.map(word)].join(' '));
    return emit(event, ...values);
  };
}

/** What was done to one stream, and what it did. */
class Recording {
  readonly log: string[] = [];
  readonly output: Buffer[] = [];
  readonly #stream: ZlibStream;
  #pending = 0;
  #closed = false;
  #tell = (): void => {};

  constructor(stream: ZlibStream, reading: Reading) {
    this.#stream = stream;
    noteEvents(stream, this.log, reading === 'late' ? READER_EVENTS : []);
    stream.on('error', () => {});
    stream.on('close', () => {
      this.#closed = true;
      this.#tell();
    });
  }

  read(): void {
    this.#stream.on('data', (chunk: Buffer) => void this.output.push(chunk));
  }

  /** One step; what it returns, throws and calls back goes to the log under its number. */
  async step(step: Step, index: number): Promise<void> {
    if (step[0] === 'settle') return within(this.#until(() => this.#pending === 0 || this.#closed));
    const name = `${index} ${step[0]}`;
    const pending = this.#pending;
    try {
      const result = this.#apply(step, name);
      this.log.push(`${name} = ${word(result === this.#stream ? 'this' : result)}`);
    } catch (error) {
      this.#pending = pending;
      this.log.push(`${name} threw ${word(error)}`);
    }
  }

  /** Waits for the end, and for the callbacks that come after it; a stream that was not ended is destroyed. */
  async end(): Promise<void> {
    if (!this.#stream.writableEnded) this.#stream.destroy();
    await within(this.#until(() => this.#closed));
    // A write that was under way is called back when it is through, which is after the close of a destroyed stream.
    // None is under way when it was zlib that told the error.
    const ofZlib = Object.hasOwn(this.#stream.errored ?? {}, 'errno');
    await within(this.#until(() => ofZlib || this.#pending === 0));
    await turns(2);
  }

  #apply([name, ...given]: Step, label: string): unknown {
    const method = Reflect.get(this.#stream, name) as (...values: unknown[]) => unknown;
    if (name === 'destroy')
      return method.apply(
        this.#stream,
        given.map((text) => new Error(`${text}`)),
      );
    if (!CALL_BACK.includes(name)) return method.call(this.#stream);
    const values = given.filter((one) => one !== undefined);
    return method.call(this.#stream, ...values, this.#callback(label));
  }

  /** A callback that is waited for, unless the stream is destroyed already: node then forgets some. */
  #callback(label: string): (...results: unknown[]) => void {
    const counts = this.#stream.destroyed ? 0 : 1;
    this.#pending += counts;
    let times = 0;
    return (...results) => {
      times += 1;
      this.#pending -= counts;
      this.log.push(
        [`${label} called back`, times > 1 ? `${times} times` : '', ...results.map(word)].join(' '),
      );
      this.#tell();
    };
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>((resolve) => {
        this.#tell = resolve;
      });
    }
  }
}

/** What a stream of the class of that name does when `steps` are taken. */
export async function drive(
  zlib: Zlib,
  className: string,
  options: unknown,
  steps: readonly Step[],
  reading: Reading = 'flowing',
): Promise<unknown> {
  const stream = make(zlib, className, options);
  const recording = new Recording(stream, reading);
  if (reading === 'flowing') recording.read();
  for (const [index, step] of steps.entries()) await recording.step(step, index);
  if (reading === 'late') recording.read();
  const hung = await recording.end().then(
    () => false,
    () => true,
  );
  if (stream.readableEnded && stream.errored === null) tallyOf(zlib)?.stream(className, options, stream);
  return { hung, log: recording.log, output: plain(Buffer.concat(recording.output)), after: after(stream) };
}

/** What can be asked of a stream when all is over. */
function after(stream: ZlibStream): unknown {
  const { bytesWritten, destroyed, closed, writableEnded, writableFinished, readableEnded } = stream;
  const { writableLength, readableLength, readable, writable, errored } = stream;
  return {
    bytesWritten,
    bytesRead: stream.bytesRead,
    destroyed,
    closed,
    ended: [writableEnded, writableFinished, readableEnded],
    left: [writableLength, readableLength],
    open: [readable, writable],
    errored: word(errored),
  };
}

/** One word for a value in a log. */
function word(value: unknown): string {
  if (value instanceof Error) return `${value.name} ${Reflect.get(value, 'code')} "${value.message}"`;
  return ArrayBuffer.isView(value) ? `${value.byteLength}` : String(value);
}
