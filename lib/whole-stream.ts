/** One input, one output, through a serial stream: for what does not fit one request and may not be cut. */
import type { Call } from './call.js';
import { outputTooLarge, WdFailure } from './failures.js';
import { decodeStream, wholeInput } from './stream-run.js';
import { type StreamPlace, StreamSession } from './stream-session.js';

/** What such a run needs; `onRequest` is called before each request. */
export interface WholeStreamParts extends StreamPlace {
  readonly onRequest: () => void;
}

/** The output of `input`, in one piece. Throws WdFailure. */
export async function throughStream(call: Call, input: Buffer, parts: WholeStreamParts): Promise<Buffer> {
  const { operation, options } = call.prepared;
  const { decode } = operation;
  const outputs =
    decode === undefined ? encodeWhole(call, input, parts) : decodeStream(wholeInput(input), decode, parts);
  const pieces: Buffer[] = [];
  let total = 0;
  for await (const piece of outputs) {
    total += piece.length;
    if (total > options.maxOutputBytes) throw new WdFailure(outputTooLarge(options.maxOutputBytes));
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

async function* encodeWhole(
  call: Call,
  input: Buffer,
  parts: WholeStreamParts,
): AsyncGenerator<Buffer, void, void> {
  const { operation } = call.prepared;
  const plan = operation.stream!;
  const session = await StreamSession.open(plan, parts);
  const control = { flush: 0, final: true, roomBytes: plan.roomBytes };
  if (operation.header.length > 0) yield Buffer.from(operation.header);
  try {
    for (let rest = input, more = true; more; ) {
      parts.onRequest();
      const final = rest.length <= plan.chunkBytes;
      const { verdict, consumed, output } = await session.step(rest, { ...control, final });
      yield Buffer.from(output);
      rest = rest.subarray(consumed);
      more = rest.length > 0 || verdict === 'noRoom';
    }
  } finally {
    session.close();
  }
}
