/**
 * Requests that mean harm, memory that fails, and requests that are given up: the device answers, and touches
 * nothing that the SQE does not name.
 */
import { deflateRawSync, gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { zipDevice } from '../../../drivers/zip/device.js';
import { requestTypes, zipSqe, zipStatus } from '../../../drivers/zip/layout.js';
import { noise, prose } from './codec-streams.js';
import { BenchDma, drive, HEADS, noProgress, ZipBench } from './device-bench.js';

const sqe = zipSqe.fields;
const MEMORY_BYTES = 256 * 1024;
const MiB = 1024 * 1024;
const known = new Set<number>(Object.values(zipStatus));

const valid = { requestType: 3, sqeType: 3, bufferType: 0, codingReserved: 0, dictionaryReserved: 0 };
const repair = fc.record(
  {
    requestType: fc.integer({ min: 1, max: 3 }),
    inputBytes: fc.nat(70_000),
    roomBytes: fc.nat(70_000),
    dictionaryBytes: fc.nat(40_000),
    source: fc.nat(MEMORY_BYTES),
    destination: fc.nat(MEMORY_BYTES),
    streamBuffer: fc.nat(2),
    flush: fc.nat(7),
    levelPlusOne: fc.nat(11),
    strategy: fc.nat(4),
    memLevel: fc.nat(9),
  },
  { requiredKeys: [] },
);
const hostile = fc.record({
  bytes: fc.uint8Array({ minLength: 128, maxLength: 128 }),
  form: fc.constantFrom({}, valid),
  fields: repair,
  qcType: fc.constantFrom(0, 1),
  owner: fc.nat(2),
});
type Hostile = ReturnType<typeof hostile.generate>['value'];

function sqeOf({ bytes, form, fields }: Hostile): DataView {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  for (const [name, value] of Object.entries({ ...form, ...fields })) {
    sqe[name as keyof typeof sqe].write(view, 0, value!);
  }
  return view;
}

function inside(ranges: readonly (readonly [number, number])[], from: number, to: number): boolean {
  return ranges.every(([start, end]) => start >= from && end <= to);
}

describe('any 128 bytes', () => {
  it('are answered with a status, and reach only the memory that they name', () => {
    const memory = Buffer.concat([gzipSync(prose(5000)), noise(MEMORY_BYTES)]).subarray(0, MEMORY_BYTES);
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1, maxLength: 6 }), fc.boolean(), (requests, views) => {
        const device = zipDevice.create({ interrupt: () => {} });
        for (const request of requests) {
          const view = sqeOf(request);
          const dma = new BenchDma(Uint8Array.from(memory), { views });
          const [source, destination] = [sqe.source.read(view, 0), sqe.destination.read(view, 0)];
          const [inputBytes, roomBytes] = [sqe.inputBytes.read(view, 0), sqe.roomBytes.read(view, 0)];
          const dictionaryBytes = sqe.dictionaryBytes.read(view, 0);
          device.costNs({ ...request, sqe: view, progress: noProgress() });
          device.requestBytes({ ...request, sqe: view, progress: noProgress() });
          drive(device, { ...request, sqe: view, progress: noProgress() }, dma);
          expect(known.has(sqe.status.read(view, 0))).toBe(true);
          expect(sqe.consumed.read(view, 0)).toBeLessThanOrEqual(inputBytes);
          expect(sqe.produced.read(view, 0)).toBeLessThanOrEqual(roomBytes);
          expect(inside(dma.reads, source - dictionaryBytes, source + inputBytes)).toBe(true);
          expect(inside(dma.written, destination, destination + roomBytes)).toBe(true);
          if (sqe.status.read(view, 0) === zipStatus.MALFORMED) {
            expect([dma.reads, dma.written]).toEqual([[], []]);
          }
        }
        device.reset();
      }),
      { numRuns: 400 },
    );
  });
});

describe('is a request malformed', () => {
  const bench = new ZipBench();
  const input = prose(100);

  it.each([
    { requestType: 0 },
    { requestType: 4 },
    { requestType: 0x43 },
    { bufferType: 1 },
    { sqeType: 1 },
    { sqeType: 15 },
    { levelPlusOne: 11 },
    { strategy: 5 },
    { memLevel: 10 },
    { codingReserved: 1 },
    { dictionaryReserved: 1 },
    { dictionaryBytes: 32_769 },
    { dictionaryBytes: 10, source: 9 },
    { inputBytes: 8 * MiB + 1 },
    { roomBytes: 8 * MiB + 1 },
    { finish: 0, flush: 1 },
    { finish: 0, flush: 2 },
    { finish: 0, flush: 5 },
    { finish: 0, flush: 6 },
    { finish: 0, flush: 7 },
    { finish: 1, flush: 7 },
    { stateful: 1, streamNew: 0, dictionaryBytes: 1 },
  ])('with %o? yes', (fields) => {
    const answer = bench.ask({ op: 'compress', input, fields });
    expect([answer.status, answer.consumed, answer.produced]).toEqual([zipStatus.MALFORMED, 0, 0]);
    expect(bench.yields).toEqual([]);
  });

  it.each([{ levelPlusOne: 1 }, { strategy: 1 }, { memLevel: 1 }, { flush: 1 }])(
    'when it decompresses with %o? yes',
    (fields) => {
      expect(bench.ask({ op: 'decompress', input, fields }).status).toBe(zipStatus.MALFORMED);
    },
  );

  it.each<Record<string, number>>([{ sqeType: 0 }, { windowCut: 7 }, { inputBytes: 0 }, { flush: 1 }])(
    'with %o? no',
    (fields) => {
      expect(bench.ask({ op: 'compress', input, fields }).status).toBe(zipStatus.DONE);
    },
  );
});

describe('an access that fails', () => {
  it('at any page ends the request with what was complete before it', () => {
    const plain = noise(60_000);
    const bench = new ZipBench();
    const packed = deflateRawSync(plain);
    for (let page = 0; page < 50; page++) {
      for (const views of [true, false]) {
        const ask = {
          op: 'decompress',
          kind: 'raw',
          input: packed,
          dma: { views, faultAt: page * 4096 },
        } as const;
        const { status, consumed, produced, output } = bench.ask({ ...ask, room: plain.length });
        expect([zipStatus.STREAM_END, zipStatus.ACCESS_FAILED]).toContain(status);
        expect(output.equals(plain.subarray(0, produced))).toBe(true);
        expect(consumed).toBeLessThanOrEqual(packed.length);
        if (status === zipStatus.STREAM_END) expect(produced).toBe(plain.length);
      }
    }
  });

  it.each([2 ** 53, 2 ** 63, 2 ** 64 - 4096])('at address %d is a failed access and no more', (address) => {
    const bench = new ZipBench();
    const input = prose(10_000);
    for (const field of ['source', 'destination'] as const) {
      const answer = bench.ask({ op: 'compress', input, fields: { [field]: address } });
      expect(answer.status).toBe(zipStatus.ACCESS_FAILED);
    }
  });

  it('of a dictionary does not cost a codec', () => {
    const bench = new ZipBench();
    const input = prose(100);
    const dictionary = prose(20_000);
    const answer = bench.ask({ op: 'compress', input, dictionary, dma: { faultAt: 25_000 } });
    expect([answer.status, answer.produced]).toEqual([zipStatus.ACCESS_FAILED, 0]);
  });
});

describe('a request that is given up', () => {
  it('at any yield leaves a device that works, and a stream that is gone', () => {
    const device = zipDevice.create({ interrupt: () => {} });
    const input = noise(100_000);
    for (const stateful of [0, 1]) {
      for (let steps = 0; steps < 8; steps++) {
        const view = new DataView(new ArrayBuffer(zipSqe.bytes));
        const fields = { requestType: requestTypes.gzip, finish: 1, stateful, streamNew: stateful };
        for (const [name, value] of Object.entries({
          ...fields,
          inputBytes: input.length,
          roomBytes: 200_000,
        })) {
          sqe[name as keyof typeof sqe].write(view, 0, value);
        }
        sqe.destination.write(view, 0, input.length);
        const memory = Buffer.concat([input, Buffer.alloc(200_000)]);
        const running = device.execute(
          { sqe: view, qcType: 0, owner: 1, progress: noProgress() },
          new BenchDma(memory, { views: true }),
        );
        for (let step = 0; step < steps; step++) running.next();
        running.return();
        device.queueStopped(1);
        expect(device.liveRegister!('STREAMS')).toBe(0);
        drive(
          device,
          { sqe: view, qcType: 0, owner: 1, progress: noProgress() },
          new BenchDma(memory, { views: true }),
        );
        const output = memory.subarray(input.length, input.length + sqe.produced.read(view, 0));
        expect(gunzipSync(Buffer.concat([HEADS.gzip, output])).equals(input)).toBe(true);
      }
    }
  });

  it('two requests that take turns do not disturb each other', () => {
    const device = zipDevice.create({ interrupt: () => {} });
    const inputs = [prose(90_000), noise(90_000)];
    const memories = inputs.map((input) => Buffer.concat([input, Buffer.alloc(120_000)]));
    const views = inputs.map(() => new DataView(new ArrayBuffer(zipSqe.bytes)));
    const running = views.map((view, index) => {
      const fields = {
        requestType: 3,
        finish: 1,
        inputBytes: 90_000,
        roomBytes: 120_000,
        destination: 90_000,
      };
      for (const [name, value] of Object.entries(fields)) sqe[name as keyof typeof sqe].write(view, 0, value);
      const dma = new BenchDma(memories[index]!, { views: false, waits: true });
      return {
        steps: device.execute({ sqe: view, qcType: 0, owner: index, progress: noProgress() }, dma),
        dma,
      };
    });
    for (let left = running.length; left > 0; ) {
      left = 0;
      for (const { steps, dma } of running) {
        if (steps.next().done !== true) left += 1;
        dma.spoil();
      }
    }
    for (const [index, memory] of memories.entries()) {
      const output = memory.subarray(90_000, 90_000 + sqe.produced.read(views[index]!, 0));
      expect(gunzipSync(Buffer.concat([HEADS.gzip, output])).equals(inputs[index]!)).toBe(true);
    }
  });
});
