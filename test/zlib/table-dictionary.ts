/** Preset dictionaries: right, wrong, missing and unasked for, in every format and of every type. */
import * as node from 'node:zlib';
import { sampleText } from '../lib/library-bench.js';
import { CLASSES, COMPRESSORS, drive } from './differential-steps.js';
import { answered, atOnce, type Row, type Rows, settled, within } from './observe.js';
import { inputFor, PACKERS, TEXT, UNPACKERS } from './table-data.js';

const DICTIONARY = Buffer.from('queue doorbell phase tail head slot ring page fault engine '.repeat(20));
const DICTIONARIES: Readonly<Record<string, unknown>> = {
  'as Buffer': DICTIONARY,
  'as Uint8Array': new Uint8Array(DICTIONARY),
  'as ArrayBuffer': new Uint8Array(DICTIONARY).buffer,
  'as DataView': new DataView(new Uint8Array(DICTIONARY).buffer),
  'as Uint16Array': new Uint16Array(new Uint8Array(DICTIONARY).buffer, 0, DICTIONARY.length >> 1),
  'of nothing': Buffer.alloc(0),
  'longer than the window': sampleText(40_000),
  'over shared memory': new Uint8Array(new SharedArrayBuffer(100)),
};
const WRONG = Buffer.from('another dictionary');

/** Writes with each dictionary, and reads with the right one, a wrong one and none. */
const through =
  (packer: string, unpacker: string, dictionary: unknown): Row =>
  async (zlib) => {
    const packed = await settled(
      within(
        new Promise((resolve, reject) => {
          Reflect.apply(Reflect.get(zlib, packer) as () => void, zlib, [
            TEXT,
            { dictionary },
            (error: Error | null, result: Buffer) => (error ? reject(error) : resolve(result)),
          ]);
        }),
      ),
    );
    const input = Reflect.apply(Reflect.get(node, `${packer}Sync`) as () => Buffer, node, [
      TEXT,
      { dictionary },
    ]);
    const answers: unknown[] = [packed, atOnce(zlib, `${packer}Sync`, TEXT, { dictionary })];
    for (const options of [{ dictionary }, { dictionary: WRONG }, {}, { dictionary, windowBits: 15 }]) {
      answers.push(
        await answered(zlib, unpacker, input, options),
        atOnce(zlib, `${unpacker}Sync`, input, options),
      );
      const className = unpacker[0]!.toUpperCase() + unpacker.slice(1);
      answers.push(
        await drive(zlib, className, options, [
          ['write', input.subarray(0, 1)],
          ['settle'],
          ['end', input.subarray(1)],
        ]),
      );
    }
    return answers;
  };

const pairs: Record<string, Row> = {};
for (const [name, dictionary] of Object.entries(DICTIONARIES)) {
  pairs[`deflate and inflate, ${name}`] = through('deflate', 'inflate', dictionary);
  pairs[`deflate and unzip, ${name}`] = through('deflate', 'unzip', dictionary);
  pairs[`deflateRaw and inflateRaw, ${name}`] = through('deflateRaw', 'inflateRaw', dictionary);
  pairs[`gzip and gunzip, ${name}`] = through('gzip', 'gunzip', dictionary);
}

export const rows: Rows = {
  ...pairs,
  'a dictionary that nobody needs': async (zlib) => {
    const answers: unknown[] = [];
    for (const name of UNPACKERS)
      answers.push(await answered(zlib, name, inputFor(name), { dictionary: WRONG }));
    return answers;
  },
  'a dictionary and reset': async (zlib) => {
    const answers: unknown[] = [];
    for (const className of COMPRESSORS)
      answers.push(
        await drive(zlib, className, { dictionary: DICTIONARY }, [
          ['write', TEXT],
          ['flush'],
          ['settle'],
          ['reset'],
          ['write', TEXT],
          ['end'],
        ]),
      );
    return answers;
  },
  'a dictionary at every class': async (zlib) => {
    const answers: unknown[] = [];
    for (const className of CLASSES)
      answers.push(await drive(zlib, className, { dictionary: WRONG }, [['end', inputFor(className)]]));
    return answers;
  },
  'a dictionary that changes after the call': async (zlib) => {
    const answers: unknown[] = [];
    for (const name of PACKERS) {
      const dictionary = Buffer.from(DICTIONARY);
      const answer = answered(zlib, name, TEXT, { dictionary });
      answers.push(await answer);
      dictionary.fill(0);
      answers.push(await answered(zlib, name, TEXT, { dictionary }));
    }
    return answers;
  },
};
