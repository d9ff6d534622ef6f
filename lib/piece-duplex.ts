/**
 * A stream of Node around a function from pieces to pieces. It behaves as Node's own transforms: destroyed at any time it
 * gives back what the function holds, also when that waits for a piece which will never come; what is written after the
 * function has ended is passed over.
 */
import { Duplex, PassThrough } from 'node:stream';

/** `outputsOf` is called once, with what is written; what it throws destroys the stream. */
export function duplexOf(
  outputsOf: (pieces: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array, void, void>,
): Duplex {
  const input = new PassThrough();
  const outputs = outputsOf(piecesOf(input));
  let hasEnded = false;
  /** Of the write under way. */
  let written: ((error?: Error | null) => void) | null = null;
  const told = (error?: Error | null): void => {
    // The next write may begin inside.
    const done = written;
    written = null;
    done?.(error);
  };
  return new Duplex({
    write: (piece, encoding, done) => {
      if (hasEnded) return done();
      written = done;
      input.write(piece, encoding, told);
    },
    final: (done) => {
      if (hasEnded) done();
      else input.end(() => done());
    },
    read() {
      outputs.next().then(
        ({ done, value }) => {
          if (done !== true) return this.push(value);
          hasEnded = true;
          told();
          input.destroy();
          return this.push(null);
        },
        (failure: Error) => this.destroy(failure),
      );
    },
    destroy(error, done) {
      // First: it may be waiting for the next piece, and is told so that none will come.
      input.destroy();
      const ended = (): void => done(error);
      outputs.return().then(ended, ended);
    },
  });
}

/** What was written. A reader that stops early leaves the stream as it is: an error of its own comes first. */
function piecesOf(input: PassThrough): AsyncIterable<Uint8Array> {
  const pieces = input[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  return { [Symbol.asyncIterator]: () => ({ next: () => pieces.next() }) };
}
