/**
 * Decoding what does not fit one request: input pieces in, output pieces out, member after member, each a stateful
 * stream on the device.
 */
import { badData, WdFailure } from './failures.js';
import { type StreamPlace, StreamSession } from './stream-session.js';
import type { DecodePlan, HeaderVerdict } from './user-driver.js';

/** Decodes `source`, member after member, on one ctx. Yields output; throws WdFailure. */
export async function* decodeStream(
  source: AsyncIterable<Uint8Array>,
  decode: DecodePlan,
  parts: StreamPlace & { onRequest: () => void },
): AsyncGenerator<Buffer, void, void> {
  const input = new InputQueue(source);
  try {
    yield* decodeMembers(input, decode, parts);
  } finally {
    await input.close();
  }
}

async function* decodeMembers(
  input: InputQueue,
  decode: DecodePlan,
  parts: StreamPlace & { onRequest: () => void },
): AsyncGenerator<Buffer, void, void> {
  let plan = decode;
  let again = true;
  while (again) {
    const { stream, next } = await openMember(input, plan);
    const session = await StreamSession.open(stream, parts);
    try {
      yield* decodeMember({ input, session, decode: next, onRequest: parts.onRequest });
    } finally {
      session.close();
    }
    await input.fill(1);
    again = input.head.length > 0 && next.afterEnd(input.head) === 'again';
    plan = next;
  }
}

/** A buffer as a stream of one piece. */
export async function* wholeInput(input: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield input;
}

type Member = Extract<HeaderVerdict, { kind: 'skip' }>;

async function openMember(input: InputQueue, decode: DecodePlan): Promise<Member> {
  for (;;) {
    const verdict = decode.parseHeader(input.head, input.ended);
    if (verdict.kind === 'bad') throw new WdFailure(badData(verdict.error));
    if (verdict.kind === 'skip') {
      input.consume(verdict.bytes);
      return verdict;
    }
    await input.fill(input.head.length + 1);
  }
}

async function* decodeMember(run: {
  input: InputQueue;
  session: StreamSession;
  decode: DecodePlan;
  onRequest: () => void;
}): AsyncGenerator<Buffer, void, void> {
  const { input, session, decode, onRequest } = run;
  for (;;) {
    await input.fill(1);
    const offered = input.head;
    onRequest();
    const { verdict, consumed, output } = await session.step(offered);
    const data = Buffer.from(output);
    input.consume(consumed);
    if (data.length > 0) yield data;
    if (verdict === 'ended') return;
    // All input is used, there was room, and the stream goes on: more input must come.
    const starved = verdict !== 'noRoom' && input.head.length === 0;
    if (starved && input.ended) throw new WdFailure(badData(decode.truncated));
    if (consumed === 0 && data.length === 0 && offered.length > 0) {
      await input.fill(offered.length + 1);
      if (input.ended && input.head.length === offered.length) throw new WdFailure(badData(decode.truncated));
    }
  }
}

/** Input pieces as one run of bytes, read only as far as needed. */
class InputQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  head: Uint8Array = new Uint8Array(0);
  ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Reads until `bytes` bytes are at hand or the input has ended. */
  async fill(bytes: number): Promise<void> {
    while (this.head.length < bytes && !this.ended) {
      const { done, value } = await this.#source.next();
      if (done === true) this.ended = true;
      else this.head = this.head.length === 0 ? value : Buffer.concat([this.head, value]);
    }
  }

  /** No more is read: whoever stands behind the source can close a file. */
  async close(): Promise<void> {
    if (!this.ended) await this.#source.return?.();
  }

  consume(bytes: number): void {
    this.head = this.head.subarray(bytes);
  }
}
