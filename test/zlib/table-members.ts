/** Members behind each other, what follows the last one, and input that ends too early. */
import { constants, gzipSync } from 'node:zlib';
import { sampleText } from '../lib/library-bench.js';
import { CLASSES, drive, type Step } from './differential-steps.js';
import { answered, atOnce, type Row, type Rows } from './observe.js';
import { crossed, LONG_TEXT, NOISE, packedFor, TEXT, UNPACKERS } from './table-data.js';

const one = gzipSync(TEXT);
const two = gzipSync(sampleText(30_000, 2));
const empty = gzipSync('');
const small = gzipSync('a small member');

const BEHIND: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.alloc(0),
  'one zero': Buffer.alloc(1),
  'many zeros': Buffer.alloc(3000),
  'a zero and a member': Buffer.concat([Buffer.alloc(1), two]),
  'zeros and noise': Buffer.concat([Buffer.alloc(600), NOISE]),
  'one byte of noise': Buffer.from([0x55]),
  noise: NOISE.map((byte) => byte | 1) as Buffer,
  'a second member': two,
  'half a second member': two.subarray(0, two.length >> 1),
  'the head of a second member': two.subarray(0, 10),
  'the first byte of a second member': two.subarray(0, 1),
  'an empty member': empty,
  'a small member': small,
  'ten small members': Buffer.concat(Array.from({ length: 10 }, () => small)),
  'three members': Buffer.concat([two, one, two]),
  'a member and zeros': Buffer.concat([two, Buffer.alloc(100)]),
  'a member and noise': Buffer.concat([two, NOISE.map((byte) => byte | 1)]),
  'a member of another format': packedFor('inflate', TEXT),
  'a damaged member': Buffer.concat([two.subarray(0, 5000), NOISE, two.subarray(5000)]),
};

const steps = (bytes: Buffer, ...cuts: number[]): Step[] => {
  const taken: Step[] = [];
  const ends = [0, ...cuts.map((cut) => (cut < 0 ? bytes.length + cut : cut)), bytes.length];
  for (let index = 1; index < ends.length; index++)
    taken.push(['write', bytes.subarray(ends[index - 1], ends[index])], ['settle']);
  return [...taken, ['end']];
};

const unpackers = ['Inflate', 'Gunzip', 'InflateRaw', 'Unzip'] as const;
const functionOf = (className: string): string => className[0]!.toLowerCase() + className.slice(1);

/** The lengths at which a compressed input of each format is cut. */
const CUTS = [
  0, 1, 2, 3, 5, 9, 10, 11, 12, 20, 100, 511, 512, 513, 1000, 4096, -1, -2, -3, -4, -5, -7, -8, -9, -10, -20,
];
const cutTo = (bytes: Buffer, length: number): Buffer =>
  bytes.subarray(0, length < 0 ? bytes.length + length : length);

const FINISH: Readonly<Record<string, object | undefined>> = {
  'by default': undefined,
  'with finishFlush Z_SYNC_FLUSH': { finishFlush: constants.Z_SYNC_FLUSH },
  'with finishFlush Z_NO_FLUSH': { finishFlush: constants.Z_NO_FLUSH },
  'with flush Z_SYNC_FLUSH': { flush: constants.Z_SYNC_FLUSH },
  'with both Z_SYNC_FLUSH': { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH },
  'with finishFlush Z_BLOCK': { finishFlush: constants.Z_BLOCK },
};

/** One row for each way to finish: all cuts of one format. */
const truncated =
  (name: string, options: object | undefined): Row =>
  async (zlib) => {
    const packed = packedFor(name, TEXT);
    const answers: unknown[] = [];
    for (const cut of CUTS) {
      const input = cutTo(packed, cut);
      answers.push([
        cut,
        await answered(zlib, name, input, options),
        atOnce(zlib, `${name}Sync`, input, options),
      ]);
    }
    return answers;
  };

export const rows: Rows = {
  ...crossed(unpackers, BEHIND, (className, behind) => async (zlib) => {
    const head = packedFor(className, TEXT);
    const input = Buffer.concat([head, behind]);
    return [
      await answered(zlib, functionOf(className), input),
      atOnce(zlib, `${functionOf(className)}Sync`, input),
      await answered(zlib, functionOf(className), input, { info: true }),
      await drive(zlib, className, undefined, [['end', input]]),
      await drive(zlib, className, undefined, steps(input, head.length)),
      await drive(zlib, className, undefined, steps(input, 100, -1)),
      await drive(
        zlib,
        className,
        undefined,
        steps(input, head.length - 3, Math.min(head.length + 1, input.length)),
      ),
    ];
  }),
  ...crossed(UNPACKERS, FINISH, (name, options) => truncated(name, options)),
  ...crossed(unpackers, FINISH, (className, options) => async (zlib) => {
    const packed = packedFor(className, LONG_TEXT);
    const answers: unknown[] = [];
    for (const cut of [0, 1, 10, 11, 600, 30_000, -9, -8, -1, 1e6])
      answers.push([cut, await drive(zlib, className, options, [['end', cutTo(packed, cut)]])]);
    return answers;
  }),
  ...crossed(
    unpackers,
    { 'byte by byte': 1, 'by threes': 3, 'by hundreds': 100 },
    (className, width) => (zlib) => {
      const packed = Buffer.concat([packedFor(className, sampleText(width === 1 ? 600 : 3000)), empty]);
      const writes: Step[] = [];
      for (let offset = 0; offset < packed.length; offset += width)
        writes.push(['write', packed.subarray(offset, offset + width)]);
      return drive(zlib, className, undefined, [...writes, ['end']]);
    },
  ),
  'streams that end with nothing written': async (zlib) => {
    const answers: unknown[] = [];
    for (const className of CLASSES)
      answers.push([className, await drive(zlib, className, undefined, [['end']])]);
    return answers;
  },
  'empty writes': async (zlib) => {
    const answers: unknown[] = [];
    for (const className of CLASSES)
      answers.push(
        await drive(zlib, className, undefined, [
          ['write', Buffer.alloc(0)],
          ['settle'],
          ['write', ''],
          ['write', packedFor(className, TEXT)],
          ['write', Buffer.alloc(0)],
          ['end'],
        ]),
      );
    return answers;
  },
};
