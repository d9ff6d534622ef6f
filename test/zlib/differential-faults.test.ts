// What if the machine dies under `warpdrive/zlib`? No call hangs, no result is wrong: a call is then done in software,
// and a stream that had begun on the device either ends well or tells that the device is lost.

import type { Worker } from 'node:worker_threads';
import node from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { close } from 'warpdrive';
import ours, { viaOf } from 'warpdrive/zlib';
import { sampleText } from '../lib/library-bench.js';
import { make } from './differential-steps.js';
import { call, resultOf, settled, within } from './observe.js';
import { FUNCTIONS, inputFor, TEXT } from './table-data.js';

afterAll(() => close());

const INPUTS = [sampleText(600), TEXT, sampleText(150_000)];
/** Streams that are under way when the machine dies. */
const STREAMS = ['Gzip', 'Gunzip', 'DeflateRaw', 'Inflate'] as const;
const lost = { rejected: expect.objectContaining({ code: 'ERR_WD_DEVICE_LOST' }) };

/** Starts the machine; tells the thread of its kernel, without which nothing of it goes on. */
async function start(): Promise<Worker> {
  const threads: Worker[] = [];
  const note = (worker: Worker): void => void threads.push(worker);
  process.on('worker', note);
  const packed = await resultOf(ours, 'gzip', TEXT);
  process.off('worker', note);
  expect(viaOf(packed)?.path).toBe('device');
  return threads[0]!;
}

/** What node makes of `input`, at once. */
const expected = (name: string, input: Buffer): Buffer => call(node, `${name}Sync`, input) as Buffer;

const calls = (): Promise<boolean>[] =>
  FUNCTIONS.flatMap((name) =>
    INPUTS.map(async (bytes) => {
      const input = inputFor(name, bytes);
      return (await within(resultOf(ours, name, input))).equals(expected(name, input));
    }),
  );

/** A stream of that class that has written once; `finish` writes the rest. */
async function begun(name: (typeof STREAMS)[number]) {
  const input = inputFor(name, sampleText(400_000));
  const stream = make(ours, name);
  const output = stream.toArray();
  await within(new Promise((resolve) => stream.write(input.subarray(0, 30_000), resolve)));
  const finish = (): Promise<unknown> => {
    stream.end(input.subarray(30_000));
    return settled(
      output.then((chunks) =>
        Buffer.concat(chunks).equals(
          expected(
            name.replace(/^./, (first) => first.toLowerCase()),
            input,
          ),
        ),
      ),
    );
  };
  return { finish, output };
}

test('the machine dies with calls and streams under way', async () => {
  const kernel = await start();
  const streams = await Promise.all(STREAMS.map(begun));
  const answers = calls();
  const outputs = streams.map(({ finish }) => finish());
  await kernel.terminate();
  expect(new Set(await Promise.all(answers))).toEqual(new Set([true]));
  for (const outcome of await Promise.all(outputs))
    expect([{ fulfilled: true }, lost]).toContainEqual(outcome);
  expect(new Set(await Promise.all(calls()))).toEqual(new Set([true]));
});

test('a stream that was idle when the machine died', async () => {
  await close();
  const kernel = await start();
  const streams = await Promise.all(STREAMS.map(begun));
  await kernel.terminate();
  for (const { finish } of streams) expect([{ fulfilled: true }, lost]).toContainEqual(await finish());
  const fresh = make(ours, 'Gzip');
  fresh.end(TEXT);
  const packed = Buffer.concat(await within(fresh.toArray()));
  expect(packed.equals(expected('gzip', TEXT))).toBe(true);
});
