/**
 * What every codec of the benchmark offers, ours and the baselines': raw deflate or raw inflate of one whole
 * buffer, answered at once or through a promise. And how its results are proved.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { ownBuffer, textSlices } from './corpus.js';
import type { Check, Requester } from './load.js';

/** What is done to an input. */
export interface Operation {
  readonly direction: 'deflate' | 'inflate';
  /** Compression level; no meaning for inflate. */
  readonly level: number;
}

/** Inputs, with the check of what comes out. */
export interface CodecInputs {
  readonly operation: Operation;
  readonly inputs: readonly Buffer[];
  /** Bytes before compression, the same for all: what throughput counts. */
  readonly plainBytes: number;
  readonly check: Check;
}

/** A codec that answers on the calling thread. The output is valid until the next call. */
export interface SyncCodec {
  readonly name: string;
  transform(input: Uint8Array): Uint8Array;
}

/** A codec that answers later. `T` is what its promise settles with. */
export interface AsyncCodec<T> {
  readonly name: string;
  start(input: Buffer): PromiseLike<T>;
  /** The bytes of an outcome; throws when it is a failure. */
  output(outcome: T): Uint8Array;
  close(): Promise<void>;
}

/** A codec that takes several inputs at once and answers when all are done, in their order. */
export interface GroupCodec {
  readonly name: string;
  transformAll(inputs: readonly Buffer[]): Promise<readonly Uint8Array[]>;
  close(): Promise<void>;
}

/** The same with a call for each input. */
export function inGroups<T>(codec: AsyncCodec<T>): GroupCodec {
  const started = (input: Buffer): PromiseLike<T> => codec.start(input);
  return {
    name: codec.name,
    transformAll: async (inputs) =>
      (await Promise.all(inputs.map(started))).map((each) => codec.output(each)),
    close: () => codec.close(),
  };
}

/** The same with a call after the other, each awaited. */
export function oneByOne<T>(codec: AsyncCodec<T>): GroupCodec {
  return {
    name: codec.name,
    transformAll: async (inputs) => {
      const outputs: Uint8Array[] = [];
      for (const input of inputs) outputs.push(codec.output(await codec.start(input)));
      return outputs;
    },
    close: () => codec.close(),
  };
}

/** `count` slices of source text of `plainBytes` bytes, compressed before if the operation is inflate. */
export function textInputs(options: {
  readonly operation: Operation;
  readonly count: number;
  readonly plainBytes: number;
}): CodecInputs {
  const { operation, count, plainBytes } = options;
  const plain = textSlices({ count, bytes: plainBytes });
  const deflating = operation.direction === 'deflate';
  const inputs = deflating ? plain : plain.map((text) => deflateRawSync(text, { level: operation.level }));
  const check: Check = (index, output) => {
    const answer = deflating ? inflateRawSync(output) : output;
    if (plain[index].compare(answer) !== 0)
      throw new Error(`wrong bytes: ${operation.direction} of input ${index}`);
  };
  return { operation, inputs, plainBytes, check };
}

/** Requests that go through `inputs` in turn, in buffers that only this codec sees. */
export function requesterOf<T>(codec: AsyncCodec<T>, inputs: readonly Buffer[]): Requester<T> {
  const own = inputs.map(ownBuffer);
  return {
    name: codec.name,
    issue: (index) => codec.start(own[index % own.length]),
    accept: (outcome) => codec.output(outcome),
    close: () => codec.close(),
  };
}

/** The same for a codec that answers at once. */
export function callsOf(
  codec: SyncCodec,
  inputs: readonly Buffer[],
): { name: string; call(index: number): Uint8Array } {
  const own = inputs.map(ownBuffer);
  return { name: codec.name, call: (index) => codec.transform(own[index % own.length]) };
}
