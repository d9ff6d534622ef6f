/**
 * Stateful requests of the zip device: any cut of the input, any room, and streams that come and go.
 */
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTEXT_OUTPUT_LEFT, zipStatus } from '../../../drivers/zip/layout.js';
import { limits } from '../../../src/base/limits.js';
import type { DeviceModel } from '../../../src/hw/device-model.js';
import { noise, prose } from './codec-streams.js';
import { type Answer, HEADS, KINDS, ZipBench } from './device-bench.js';
import { BUFFER, Session } from './device-session.js';

const encode = { raw: deflateRawSync, zlib: deflateSync, gzip: gzipSync };
const decode = { raw: inflateRawSync, zlib: inflateSync, gzip: gunzipSync };
const NOTHING = new Uint8Array(0);

/** Decodes `input` in pieces of `cut` bytes into rooms of `room` bytes. */
function decodeInPieces(session: Session, input: Uint8Array, sizes: { cut: number; room: number }): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const piece = input.subarray(at, at + sizes.cut);
    const answer = session.send({ input: piece, room: sizes.room });
    parts.push(answer.output);
    at += answer.consumed;
    if (answer.status === zipStatus.STREAM_END) {
      expect(at).toBe(input.length);
      return Buffer.concat(parts);
    }
    expect(answer.status).toBe(zipStatus.DONE);
    if (answer.context === 0 && at === input.length) throw new Error('the stream did not end');
  }
}

describe.each(KINDS)('decompression of %s as a stream', (kind) => {
  const bench = new ZipBench();
  const start = (): Session => new Session(bench, { op: 'decompress', kind });
  const plain = prose(300);
  const packed = encode[kind](plain).subarray(HEADS[kind].length);

  it('survives a cut at every position, the trailer included', () => {
    for (let cut = 0; cut <= packed.length; cut++) {
      const session = start();
      const first = session.send({ input: packed.subarray(0, cut) });
      const second = session.send({ input: packed.subarray(cut) });
      if (cut === packed.length) {
        expect([first.status, second.status]).toEqual([zipStatus.STREAM_END, zipStatus.NO_STREAM]);
      } else {
        expect([first.status, first.consumed]).toEqual([zipStatus.DONE, cut]);
        expect([second.status, second.consumed]).toEqual([zipStatus.STREAM_END, packed.length - cut]);
        expect(second.totalBytes).toBe(plain.length);
      }
      expect(Buffer.concat([first.output, second.output]).equals(plain)).toBe(true);
    }
  });

  it('survives pieces and rooms of any size', () => {
    for (const cut of [1, 2, 3, 7, packed.length]) {
      for (const room of [1, 2, 63, 64, 65, plain.length - 1, plain.length, plain.length + 1]) {
        expect(decodeInPieces(start(), packed, { cut, room }).equals(plain)).toBe(true);
      }
    }
  });

  it('finds a wrong trailer wherever it is cut', () => {
    const trailerBytes = { raw: 0, zlib: 4, gzip: 8 }[kind];
    for (let wrong = packed.length - trailerBytes; wrong < packed.length; wrong++) {
      const input = Uint8Array.from(packed);
      input[wrong]! ^= 0x10;
      for (let cut = packed.length - trailerBytes; cut < packed.length; cut++) {
        const session = start();
        const statuses = [input.subarray(0, cut), input.subarray(cut)].map(
          (piece) => session.send({ input: piece }).status,
        );
        const expected =
          wrong < packed.length - trailerBytes + 4 ? zipStatus.WRONG_CHECKSUM : zipStatus.BAD_DATA;
        expect(statuses.find((status) => status !== zipStatus.DONE)).toBe(expected);
      }
    }
  });
});

describe.each(KINDS)('compression of %s as a stream', (kind) => {
  it('without flushes gives the bytes of one call, whatever the pieces and rooms', () => {
    const bench = new ZipBench();
    for (const plain of [NOTHING, prose(1000), noise(3000)]) {
      const expected = encode[kind](plain).subarray(HEADS[kind].length);
      for (const [cut, room] of [
        [1, 1],
        [100, 1],
        [100, 7],
        [1000, 8],
        [333, 100_000],
      ] as const) {
        const session = new Session(bench, { op: 'compress', kind });
        const parts: Buffer[] = [];
        for (let at = 0; at < plain.length; at += cut) {
          parts.push(session.drain({ input: plain.subarray(at, at + cut), room, flush: 1 }));
        }
        parts.push(session.drain({ input: NOTHING, room, flush: 'finish' }));
        expect(Buffer.concat(parts).equals(expected)).toBe(true);
      }
    }
  });

  it('survives any pieces, rooms and flushes', () => {
    const turn = fc.record({
      input: fc.uint8Array({ maxLength: 400, max: 9 }),
      room: fc.integer({ min: 1, max: 300 }),
      flush: fc.constantFrom(0, 1, 2, 3, 4, 6),
    });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 8 }), fc.boolean(), (turns, views) => {
        const session = new Session(new ZipBench(), { op: 'compress', kind, dma: { views, waits: !views } });
        const parts = turns.map((each) => session.drain(each));
        parts.push(session.drain({ input: NOTHING, room: 5, flush: 'finish' }));
        const plain = Buffer.concat(turns.map(({ input }) => input));
        expect(decode[kind](Buffer.concat([HEADS[kind], ...parts])).equals(plain)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('takes no input after its end was announced and consumed, and still delivers it', () => {
    const bench = new ZipBench();
    const session = new Session(bench, { op: 'compress', kind });
    const plain = noise(200);
    const first = session.send({ input: plain, room: 20, flush: 'finish' });
    expect([first.consumed, first.context]).toEqual([plain.length, CONTEXT_OUTPUT_LEFT]);
    expect(session.send({ input: plain, flush: 1 }).status).toBe(zipStatus.MALFORMED);
    // Another flush kind cannot undo the end.
    const rest = session.drain({ input: NOTHING, room: 3, flush: 3 });
    expect(decode[kind](Buffer.concat([HEADS[kind], first.output, rest])).equals(plain)).toBe(true);
    expect(session.send({ input: NOTHING }).status).toBe(zipStatus.NO_STREAM);
  });
});

describe('streams that the device keeps', () => {
  const packed = gzipSync(prose(100)).subarray(10);
  const half = packed.length >> 1;
  const begin = { stateful: 1, streamNew: 1 };
  const go = { stateful: 1 };

  interface Name {
    readonly owner?: number;
    readonly streamBuffer?: number;
  }

  function open(bench: ZipBench, { owner = 1, streamBuffer = BUFFER }: Name = {}): Answer {
    const fields = { ...begin, streamBuffer };
    return bench.ask({ op: 'decompress', input: packed.subarray(0, half), owner, fields });
  }

  function finish(bench: ZipBench, { owner = 1, streamBuffer = BUFFER }: Name = {}): Answer {
    const fields = { ...go, streamBuffer };
    return bench.ask({ op: 'decompress', input: packed.subarray(half), owner, fields });
  }

  const streams = (bench: ZipBench): number => bench.device.liveRegister!('STREAMS');

  it('are many at once, and do not mix', () => {
    const bench = new ZipBench();
    const names = [{ owner: 1 }, { owner: 2 }, { owner: 1, streamBuffer: 0x9000 }];
    for (const name of names) open(bench, name);
    expect(streams(bench)).toBe(3);
    for (const name of names) expect(finish(bench, name).status).toBe(zipStatus.STREAM_END);
    expect(streams(bench)).toBe(0);
  });

  it('are not found by another queue, direction, address or request type', () => {
    const bench = new ZipBench();
    open(bench);
    expect(finish(bench, { owner: 2 }).status).toBe(zipStatus.NO_STREAM);
    expect(finish(bench, { streamBuffer: 0 }).status).toBe(zipStatus.NO_STREAM);
    const fields = { ...go, streamBuffer: BUFFER };
    expect(bench.ask({ op: 'compress', fields }).status).toBe(zipStatus.NO_STREAM);
    expect(bench.ask({ op: 'decompress', kind: 'zlib', fields }).status).toBe(zipStatus.NO_STREAM);
    expect(finish(bench).status).toBe(zipStatus.STREAM_END);
  });

  it.each([
    ['a stopped queue', (device: DeviceModel) => device.queueStopped(1)],
    ['a reset', (device: DeviceModel) => device.reset()],
  ])('are gone after %s', (_, end) => {
    const bench = new ZipBench();
    open(bench);
    open(bench, { owner: 2 });
    end(bench.device);
    expect(finish(bench).status).toBe(zipStatus.NO_STREAM);
    const other = finish(bench, { owner: 2 }).status;
    expect(other).toBe(end.toString().includes('reset') ? zipStatus.NO_STREAM : zipStatus.STREAM_END);
  });

  it('begin anew with streamNew, whatever was before, and forget a failed one', () => {
    const bench = new ZipBench();
    open(bench);
    open(bench);
    expect([streams(bench), finish(bench).status]).toEqual([1, zipStatus.STREAM_END]);
    open(bench);
    const fields = { ...go, streamBuffer: BUFFER };
    const bad = bench.ask({ op: 'decompress', input: new Uint8Array(50).fill(0xff), fields });
    expect([zipStatus.BAD_DATA, zipStatus.WRONG_CHECKSUM]).toContain(bad.status);
    expect(streams(bench)).toBe(0);
    expect(finish(bench).status).toBe(zipStatus.NO_STREAM);
  });

  it('survive a malformed request of their own', () => {
    const bench = new ZipBench();
    open(bench);
    const fields = { ...go, streamBuffer: BUFFER, bufferType: 1 };
    expect(bench.ask({ op: 'decompress', fields }).status).toBe(zipStatus.MALFORMED);
    expect(finish(bench).status).toBe(zipStatus.STREAM_END);
  });

  it('can a queue with many streams push out the one of another queue?', () => {
    const bench = new ZipBench();
    open(bench, { owner: 7 });
    for (let n = 0; n < limits.ZIP_STREAMS_MAX + 10; n++) open(bench, { streamBuffer: 0x1000 * (n + 1) });
    expect(streams(bench)).toBe(limits.ZIP_STREAMS_MAX);
    expect(bench.device.liveRegister!('STREAMS_LOST')).toBe(11);
    expect(finish(bench, { owner: 7 }).status).toBe(zipStatus.STREAM_END);
    // The least recently used of the greedy queue are gone, the others are not.
    expect(finish(bench, { streamBuffer: 0x1000 * 11 }).status).toBe(zipStatus.NO_STREAM);
    expect(finish(bench, { streamBuffer: 0x1000 * 12 }).status).toBe(zipStatus.STREAM_END);
  });

  it('never read or write the buffer that names them, and never believe the SQE', () => {
    const bench = new ZipBench();
    open(bench, { streamBuffer: 2 ** 40 });
    const fields = { ...go, streamBuffer: 2 ** 40, checksum: 1, totalBytes: 1, context: 0xffff_ffff };
    const answer = bench.ask({ op: 'decompress', input: packed.subarray(half), fields });
    expect([answer.status, answer.totalBytes, answer.context]).toEqual([zipStatus.STREAM_END, 100, 0]);
    expect(gunzipSync(Buffer.concat([HEADS.gzip, packed])).equals(prose(100))).toBe(true);
  });

  it('end with a failed access, and say how far they came', () => {
    const bench = new ZipBench();
    const fields = { ...begin, streamBuffer: BUFFER };
    const input = deflateRawSync(noise(100_000));
    const whole = { op: 'decompress', kind: 'raw', input, fields } as const;
    const pageInput = bench.ask({ ...whole, dma: { faultAt: 90_000 } });
    expect(pageInput.status).toBe(zipStatus.ACCESS_FAILED);
    expect(pageInput.consumed).toBeGreaterThan(0);
    expect(pageInput.output.equals(noise(100_000).subarray(0, pageInput.produced))).toBe(true);
    expect(streams(bench)).toBe(0);
  });
});
