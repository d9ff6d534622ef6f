/**
 * One stream on a bench, request by request.
 */
import { expect } from 'vitest';
import { CONTEXT_OUTPUT_LEFT } from '../../../drivers/zip/layout.js';
import type { Answer, Ask, ZipBench } from './device-bench.js';

/** The address that names the stream of a session. */
export const BUFFER = 0x7000;

/** What one request carries. */
export interface Turn {
  readonly input: Uint8Array;
  readonly room?: number;
  /** What follows the input: kind of flush + 1, or finish. */
  readonly flush?: number | 'finish';
  /** Overrides anything, for this request alone. */
  readonly fields?: Ask['fields'];
}

export class Session {
  #isNew = true;
  readonly #bench: ZipBench;
  readonly #ask: Ask;

  constructor(bench: ZipBench, ask: Ask) {
    this.#bench = bench;
    this.#ask = ask;
  }

  send({ input, room = 1 << 18, flush = 0, fields }: Turn): Answer {
    const ending = flush === 'finish' ? { finish: 1 } : { finish: 0, flush };
    const own = { stateful: 1, streamNew: Number(this.#isNew), streamBuffer: BUFFER, ...ending };
    this.#isNew = false;
    return this.#bench.ask({ ...this.#ask, input, room, fields: { ...own, ...this.#ask.fields, ...fields } });
  }

  /** Sends a turn again and again with what is left of it, until no output is due. */
  drain(turn: Turn): Buffer {
    const parts: Buffer[] = [];
    let left = turn.input;
    for (;;) {
      const answer = this.send({ ...turn, input: left });
      expect(answer.strayBytes).toBe(0);
      parts.push(answer.output);
      left = left.subarray(answer.consumed);
      if (answer.context !== CONTEXT_OUTPUT_LEFT) {
        expect(left.length).toBe(0);
        return Buffer.concat(parts);
      }
    }
  }
}
