/**
 * A user driver and a device, joined without a machine: what the library does between them, in its simplest form.
 */
import { expect } from 'vitest';
import { zipDevice } from '../../../drivers/zip/device.js';
import { zipSqe } from '../../../drivers/zip/layout.js';
import { zipUserDriver } from '../../../drivers/zip/user-driver.js';
import type {
  DataError,
  DecodePlan,
  Operation,
  Outcome,
  SqeFormat,
  Transfer,
} from '../../../lib/user-driver.js';
import { BenchDma, drive, noProgress } from './device-bench.js';

const SOURCE = 40_960;
const STATE = 64;
const NO_DICTIONARY = new Uint8Array(0);
/** The SQE stands here in the ring, to see that its base is honoured. */
const BASE = 256;

/** The operation that a caller's parameters prepare. */
export function prepared(op: 'compress' | 'decompress', parameters: Record<string, unknown> = {}): Operation {
  return zipUserDriver.prepare({ op, parameters })._unsafeUnwrap();
}

export interface Sent extends Outcome {
  readonly output: Buffer;
}

/** A device with one queue of each direction. */
export class UserBench {
  readonly device = zipDevice.create({ interrupt: () => {} });
  /** Requests that it executed. */
  requests = 0;

  send(
    format: SqeFormat,
    input: Uint8Array,
    change: Partial<Transfer> & { dictionary?: Uint8Array } = {},
  ): Sent {
    const { dictionary = NO_DICTIONARY, ...transfer } = change;
    const destinationBytes = transfer.destinationBytes ?? format.outputRoom(input.length);
    const destination = SOURCE + input.length;
    const memory = new Uint8Array(destination + destinationBytes);
    memory.set(dictionary, SOURCE - dictionary.length);
    memory.set(input, SOURCE);
    const words = new Int32Array(BASE / 2).fill(-1);
    const ring = new DataView(words.buffer);
    words.set(format.template, BASE / 4);
    this.requests += 1;
    format.fill(ring, BASE, {
      tag: this.requests,
      source: SOURCE,
      sourceBytes: input.length,
      destination,
      destinationBytes,
      dictionaryBytes: dictionary.length,
      state: STATE,
      streamNew: false,
      final: true,
      flush: 0,
      checksum: 0,
      totalBytes: 0,
      ...transfer,
    });
    const request = {
      sqe: new DataView(ring.buffer, BASE, zipSqe.bytes),
      qcType: format.qcType,
      owner: 1,
      progress: noProgress(),
    };
    drive(this.device, request, new BenchDma(memory, { views: this.requests % 2 === 0 }));
    const outcome = newOutcome();
    format.read(ring, BASE, outcome);
    expect(outcome.tag).toBe(this.requests);
    return { ...outcome, output: Buffer.from(memory.subarray(destination, destination + outcome.produced)) };
  }

  /** One request. */
  encode(operation: Operation, input: Uint8Array): Buffer {
    const { verdict, consumed, output } = this.send(operation.oneShot, input);
    expect([verdict, consumed]).toEqual(['ok', input.length]);
    return Buffer.concat([operation.header, output]);
  }

  /** Blocks that know only the bytes before them. */
  encodeBlocks(operation: Operation, input: Uint8Array, blockBytes: number): Buffer {
    const { format, dictionaryBytes, trailer } = operation.blocks!;
    const pieces: Uint8Array[] = [operation.header];
    const parts: { inputBytes: number; checksum: number }[] = [];
    for (let from = 0; from < input.length; from += blockBytes) {
      const block = input.subarray(from, from + blockBytes);
      const dictionary = input.subarray(Math.max(0, from - dictionaryBytes), from);
      const { verdict, output, checksum } = this.send(format, block, { dictionary });
      expect(verdict).toBe('ok');
      pieces.push(output);
      parts.push({ inputBytes: block.length, checksum });
    }
    return Buffer.concat([...pieces, trailer(parts)]);
  }

  /** Part after part of one stream, each of at most `cut` bytes. */
  encodeStream(operation: Operation, input: Uint8Array, cut: number): Buffer {
    const { format, roomBytes } = operation.stream!;
    const pieces: Uint8Array[] = [operation.header];
    let at = 0;
    for (let due = true; due; ) {
      const piece = input.subarray(at, at + cut);
      const final = at + piece.length === input.length;
      const change = { destinationBytes: roomBytes, streamNew: pieces.length === 1, final };
      const { verdict, consumed, output } = this.send(format, piece, change);
      pieces.push(output);
      at += consumed;
      due = verdict === 'noRoom' || !final;
    }
    return Buffer.concat(pieces);
  }

  /** A whole input in one request for each member; throws what is wrong with the input. */
  decode(operation: Operation, input: Uint8Array): Buffer {
    return this.#members(operation, input, (member, plan, rest) => {
      let room = plan.room(input);
      for (;;) {
        const sent = this.send(member.oneShot, rest, { destinationBytes: room });
        if (sent.verdict !== 'noRoom') return sent;
        room *= 4;
      }
    });
  }

  /** Part after part of each member, of at most `cut` bytes, into rooms of `room` bytes. */
  decodeStream(operation: Operation, input: Uint8Array, sizes: { cut: number; room: number }): Buffer {
    return this.#members(operation, input, (member, plan, rest) => {
      const pieces: Buffer[] = [];
      let consumed = 0;
      for (;;) {
        const piece = rest.subarray(consumed, consumed + sizes.cut);
        const change = { destinationBytes: sizes.room, streamNew: pieces.length === 0, final: false };
        const sent = this.send(member.stream.format, piece, change);
        consumed += sent.consumed;
        pieces.push(sent.output);
        const starved = sent.verdict === 'ok' && consumed === rest.length;
        if (starved) throw asError(plan.truncated);
        if (sent.verdict === 'ok' || sent.verdict === 'noRoom') continue;
        return { ...sent, consumed, output: Buffer.concat(pieces) };
      }
    });
  }

  #members(
    operation: Operation,
    input: Uint8Array,
    decodeMember: (member: Member, plan: DecodePlan, rest: Uint8Array) => Sent,
  ): Buffer {
    const pieces: Buffer[] = [];
    let plan = operation.decode!;
    for (let at = 0; ; ) {
      const member = plan.parseHeader(input.subarray(at), true);
      if (member.kind === 'bad') throw asError(member.error);
      if (member.kind === 'more') throw new Error('an input that has ended has no more');
      plan = member.next;
      at += member.bytes;
      const sent = decodeMember(member, plan, input.subarray(at));
      if (sent.verdict === 'failed') throw asError(sent.dataError!);
      if (sent.verdict !== 'ended') throw asError(plan.truncated);
      pieces.push(sent.output);
      at += sent.consumed;
      const rest = input.subarray(at);
      if (rest.length === 0 || plan.afterEnd(rest) === 'finished') return Buffer.concat(pieces);
    }
  }
}

type Member = Extract<ReturnType<DecodePlan['parseHeader']>, { kind: 'skip' }>;

function asError({ message, code, errno }: DataError): Error {
  return Object.assign(new Error(message), { code, errno });
}

function newOutcome(): Outcome {
  return {
    tag: 0,
    verdict: 'failed',
    status: -1,
    consumed: -1,
    produced: -1,
    checksum: -1,
    totalBytes: -1,
    dataError: null,
  };
}
