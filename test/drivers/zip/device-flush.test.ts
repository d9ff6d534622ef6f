/**
 * Does a stream on the device come out as node writes it? Any chunks, flushes, rooms and changes of the coding, request
 * by request against node's own native stream.
 */
import { inflateRawSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTEXT_OUTPUT_LEFT, type RequestKind, zipStatus } from '../../../drivers/zip/layout.js';
import { noise, prose } from './codec-streams.js';
import { HEADS, KINDS, ZipBench } from './device-bench.js';
import { Session } from './device-session.js';
import { NodeHandle } from './node-handle.js';

const NOTHING = new Uint8Array(0);
/** More than any write needs, even with room for one byte. */
const TURNS_MAX = 10_000;
const flushes = { none: 0, partial: 1, sync: 2, full: 3, finish: 4, block: 5 } as const;

interface Coding {
  readonly level: number;
  readonly strategy: number;
  readonly memLevel: number;
  readonly windowBits: number;
}

interface Write {
  readonly input: Uint8Array;
  /** By its number. */
  readonly flush: number;
  /** Room of the first request, and of those that node repeats because there was none left. */
  readonly rooms: readonly [number, number];
}

/** A write, or a change of the coding as node makes it: behind a sync flush. */
type Event = Write & { readonly params?: readonly [level: number, strategy: number] };

interface Step {
  readonly consumed: number;
  readonly output: string;
  readonly full: boolean;
}

interface Encoder {
  write(input: Uint8Array, room: number, flush: number): Step;
  params(level: number, strategy: number): void;
}

const plainCoding: Coding = { level: 6, strategy: 0, memLevel: 8, windowBits: 15 };

function fieldsOf({ level, strategy, memLevel, windowBits }: Coding): Record<string, number> {
  return { levelPlusOne: level + 1, strategy, memLevel, windowCut: 15 - windowBits };
}

class DeviceEncoder implements Encoder {
  readonly #session: Session;
  #coding: Coding;

  constructor(kind: RequestKind, coding: Coding, bench = new ZipBench()) {
    this.#session = new Session(bench, { op: 'compress', kind });
    this.#coding = coding;
  }

  write(input: Uint8Array, room: number, flush: number): Step {
    const ending = flush === flushes.finish ? 'finish' : flush + 1;
    const answer = this.#session.send({ input, room, flush: ending, fields: fieldsOf(this.#coding) });
    expect([answer.status, answer.strayBytes]).toEqual([zipStatus.DONE, 0]);
    const full = answer.context === CONTEXT_OUTPUT_LEFT;
    return { consumed: answer.consumed, output: answer.output.toString('latin1'), full };
  }

  params(level: number, strategy: number): void {
    this.#coding = { ...this.#coding, level, strategy };
  }
}

/** Node's stream of a container has its head in the room of the first write; the device leaves the head to others. */
class NodeEncoder implements Encoder {
  readonly #handle: NodeHandle;
  #headBytes: number;

  constructor(kind: RequestKind, coding: Coding) {
    this.#handle = new NodeHandle('compress', kind, coding);
    this.#headBytes = HEADS[kind].length;
  }

  write(input: Uint8Array, room: number, flush: number): Step {
    const { consumed, output, full, error } = this.#handle.write(input, room + this.#headBytes, flush);
    expect(error).toBe(null);
    const body = output.subarray(this.#headBytes);
    this.#headBytes = 0;
    return { consumed, output: body.toString('latin1'), full };
  }

  params(level: number, strategy: number): void {
    this.#handle.params(level, strategy);
  }
}

/** As node's classes drive their handle. */
function* encode(encoder: Encoder, events: readonly Event[]): Generator<Step> {
  for (const { params, ...write } of events) {
    if (params === undefined) yield* encodeWrite(encoder, write);
    else {
      yield* encodeWrite(encoder, { ...write, input: NOTHING, flush: flushes.sync });
      encoder.params(...params);
    }
  }
  yield* encodeWrite(encoder, { input: NOTHING, flush: flushes.finish, rooms: [1 << 16, 1 << 16] });
}

function* encodeWrite(encoder: Encoder, { input, flush, rooms }: Write): Generator<Step> {
  let left = input;
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const step = encoder.write(left, rooms[turn === 0 ? 0 : 1], flush);
    left = left.subarray(step.consumed);
    yield step;
    if (!step.full) return expect(left.length).toBe(0);
  }
  throw new Error('a write did not come to its end');
}

const textSource = prose(200_000);
const noiseSource = noise(200_000);

function inputOf(bytesMax: number): fc.Arbitrary<Uint8Array> {
  const source = fc.constantFrom(textSource, noiseSource, new Uint8Array(200_000));
  const length = fc.oneof(fc.constant(0), fc.nat(40), fc.nat(bytesMax));
  return fc.tuple(source, fc.nat(100_000), length).map(([from, at, bytes]) => from.subarray(at, at + bytes));
}

const coding = (levelMin: number): fc.Arbitrary<Coding> =>
  fc.record({
    level: fc.integer({ min: levelMin, max: 9 }),
    strategy: fc.integer({ min: 0, max: 4 }),
    memLevel: fc.integer({ min: 1, max: 9 }),
    windowBits: fc.integer({ min: 9, max: 15 }),
  });

/** `roomMax`: rooms are small, or up to this. */
function eventsOf(sizes: { inputMax: number; roomMax: number; levelMin: number }): fc.Arbitrary<Event[]> {
  const room = (min: number): fc.Arbitrary<number> =>
    fc.oneof(fc.integer({ min, max: min + 40 }), fc.integer({ min, max: sizes.roomMax }));
  const params = fc.tuple(fc.integer({ min: sizes.levelMin, max: 9 }), fc.integer({ min: 0, max: 4 }));
  const event = fc.record(
    {
      input: inputOf(sizes.inputMax),
      flush: fc.constantFrom(0, 0, 1, 2, 3, 5),
      rooms: fc.tuple(room(1), room(64)),
      params,
    },
    { requiredKeys: ['input', 'flush', 'rooms'] },
  );
  return fc.array(event, { maxLength: 12 });
}

function plainOf(events: readonly Event[]): Buffer {
  return Buffer.concat(events.filter(({ params }) => params === undefined).map(({ input }) => input));
}

function bytesOf(steps: readonly Step[]): Buffer {
  return Buffer.from(steps.map(({ output }) => output).join(''), 'latin1');
}

describe('requests of one segment', () => {
  const sizes = { inputMax: 16_384, roomMax: 65_536, levelMin: 0 };

  it('give what each write of node gives, consumed and produced, at every level', () => {
    fc.assert(
      fc.property(coding(0), eventsOf(sizes), (opened, events) => {
        const device = [...encode(new DeviceEncoder('raw', opened), events)];
        expect(device).toEqual([...encode(new NodeEncoder('raw', opened), events)]);
        expect(inflateRawSync(bytesOf(device)).equals(plainOf(events))).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('of zlib give the bytes of node, behind its head', () => {
    fc.assert(
      fc.property(coding(0), eventsOf(sizes), (opened, events) => {
        const device = bytesOf([...encode(new DeviceEncoder('zlib', opened), events)]);
        const node = bytesOf([...encode(new NodeEncoder('zlib', opened), events)]);
        expect(device.equals(node)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('of gzip give the bytes of node, whose own gzip ignores a change of the coding', () => {
    fc.assert(
      fc.property(coding(0), eventsOf(sizes), (opened, events) => {
        const constant = events.map(({ params: _, ...write }) => write);
        const device = bytesOf([...encode(new DeviceEncoder('gzip', opened), constant)]);
        const node = bytesOf([...encode(new NodeEncoder('gzip', opened), constant)]);
        expect(device.equals(node)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe('requests of several segments and windows', () => {
  it('give the bytes of node from level 1 on', () => {
    fc.assert(
      fc.property(
        coding(1),
        eventsOf({ inputMax: 90_000, roomMax: 200_000, levelMin: 1 }),
        (opened, events) => {
          const device = bytesOf([...encode(new DeviceEncoder('raw', opened), events)]);
          const node = bytesOf([...encode(new NodeEncoder('raw', opened), events)]);
          expect(device.equals(node)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('the room', () => {
  it('that a flush fills exactly, or within its marker, makes node repeat the marker, and us', () => {
    for (const flush of [flushes.partial, flushes.sync, flushes.full]) {
      const input = prose(300);
      const whole = new NodeEncoder('raw', plainCoding).write(input, 4096, flush).output.length;
      for (let room = 1; room <= whole + 1; room++) {
        const events = [{ input, flush, rooms: [room, 64] as const }];
        const device = [...encode(new DeviceEncoder('raw', plainCoding), events)];
        expect(device).toEqual([...encode(new NodeEncoder('raw', plainCoding), events)]);
      }
    }
  });

  it.each(KINDS)(
    'of one byte, again and again, ends every flush of %s, and the change of a coding',
    (kind) => {
      const events: Event[] = [1, 2, 3, 5].flatMap((flush, at) => [
        { input: prose(200).subarray(at * 50, at * 50 + 50), flush, rooms: [1, 1] },
        { input: NOTHING, flush: 0, rooms: [1, 1], params: [at * 3, at] },
      ]);
      const packed = bytesOf([...encode(new DeviceEncoder(kind, plainCoding), events)]);
      const back = kind === 'raw' ? inflateRawSync(packed) : decodeBehindHead(kind, packed);
      expect(back.equals(prose(200))).toBe(true);
    },
  );

  it('of no byte: nothing is done, and the request says that it wants room', () => {
    const session = new Session(new ZipBench(), { op: 'compress', kind: 'raw' });
    const input = prose(100);
    for (const flush of [1, 3, 'finish'] as const) {
      const { status, consumed, produced, context } = session.send({ input, room: 0, flush });
      expect([status, consumed, produced, context]).toEqual([zipStatus.DONE, 0, 0, CONTEXT_OUTPUT_LEFT]);
    }
    expect(inflateRawSync(session.drain({ input, flush: 'finish' })).equals(input)).toBe(true);
  });
});

function decodeBehindHead(kind: 'zlib' | 'gzip', packed: Buffer): Buffer {
  // The trailer of gzip is not looked at here, but the deflate stream must end before it.
  if (kind === 'zlib') return inflateSync(Buffer.concat([HEADS.zlib, packed]));
  return inflateRawSync(packed.subarray(0, -8));
}

describe('a coding that changes in mid-stream', () => {
  it('without a flush before it: what was written keeps its coding, and all of it can be read', () => {
    const turn = fc.record({
      input: inputOf(40_000),
      flush: fc.constantFrom(1, 2, 3, 4, 6),
      room: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 200, max: 100_000 })),
      level: fc.integer({ min: 0, max: 9 }),
      strategy: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 8 }), (turns) => {
        const session = new Session(new ZipBench(), { op: 'compress', kind: 'raw' });
        const parts = turns.map(({ input, flush, room, level, strategy }) =>
          session.drain({ input, flush, room, fields: { levelPlusOne: level + 1, strategy } }),
        );
        parts.push(session.drain({ input: NOTHING, flush: 'finish' }));
        const plain = Buffer.concat(turns.map(({ input }) => input));
        expect(inflateRawSync(Buffer.concat(parts)).equals(plain)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('takes effect: text at level 0 stands in the output as it is, at level 9 it does not', () => {
    const session = new Session(new ZipBench(), {
      op: 'compress',
      kind: 'raw',
      fields: { levelPlusOne: 10 },
    });
    const [one, other] = [prose(4000).subarray(0, 2000), prose(4000).subarray(2000)];
    const packed = session.drain({ input: one, flush: 1 });
    const stored = session.drain({ input: other, flush: 3, fields: { levelPlusOne: 1 } });
    expect([packed, stored].map((part, at) => part.includes(Buffer.from([one, other][at]!)))).toEqual([
      false,
      true,
    ]);
    const last = session.drain({ input: NOTHING, flush: 'finish', fields: { levelPlusOne: 4 } });
    expect(inflateRawSync(Buffer.concat([packed, stored, last])).equals(prose(4000))).toBe(true);
  });

  it.each([{ memLevel: 9 }, { windowCut: 1 }])('but not in %o: refused, and the stream goes on', (fields) => {
    const session = new Session(new ZipBench(), { op: 'compress', kind: 'raw' });
    const first = session.drain({ input: prose(500), flush: 1 });
    const refused = session.send({ input: prose(500), fields });
    expect([refused.status, refused.consumed]).toEqual([zipStatus.MALFORMED, 0]);
    const last = session.drain({ input: NOTHING, flush: 'finish' });
    expect(inflateRawSync(Buffer.concat([first, last])).equals(prose(500))).toBe(true);
  });

  it('after the end was announced changes nothing of what is still due', () => {
    const input = noise(500);
    const session = new Session(new ZipBench(), { op: 'compress', kind: 'raw' });
    const first = session.send({ input, room: 20, flush: 'finish' });
    const rest = session.drain({ input: NOTHING, room: 30, flush: 'finish', fields: { levelPlusOne: 1 } });
    const whole = new NodeEncoder('raw', plainCoding).write(input, 4096, flushes.finish).output;
    expect(Buffer.concat([first.output, rest]).toString('latin1')).toBe(whole);
  });

  it('leaves nothing to the next stream of either coding', () => {
    const bench = new ZipBench();
    const input = prose(20_000);
    const changes: Event[] = [{ input: NOTHING, flush: 0, rooms: [9, 64], params: [9, 2] }];
    for (const events of [changes, [], changes, []]) {
      const written: Event = { input, flush: flushes.none, rooms: [65_536, 65_536] };
      const all = [written, ...events, written];
      for (const opened of [plainCoding, { ...plainCoding, level: 9, strategy: 2 }]) {
        const device = bytesOf([...encode(new DeviceEncoder('raw', opened, bench), all)]);
        expect(device.equals(bytesOf([...encode(new NodeEncoder('raw', opened), all)]))).toBe(true);
      }
    }
  });
});
