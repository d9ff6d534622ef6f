/** One large buffer in one call: does it use both engines, and does the output stay as small? */
import { gunzipSync, gzip } from 'node:zlib';
import { type BenchCase, contest, ifSubject } from '../case.js';
import type { AsyncCodec } from '../codec.js';
import { machineCode, ownBuffer, sourceText } from '../corpus.js';
import type { Contestant } from '../harness.js';
import { atLeast, atMost, compare, type Row } from '../report.js';
import { subjectGzip } from '../subject.js';

const PLAIN_BYTES = 64 * 1024 * 1024;
const LEVEL = 6;
/** One sample takes seconds. */
const MOST_ROUNDS = 5;

/** Node's own gzip, one call for the whole buffer. */
const zlibGzip: AsyncCodec<Buffer> = {
  name: 'zlib-gzip',
  start: (input) =>
    new Promise((resolve, reject) => {
      gzip(input, { level: LEVEL }, (error, output) => (error === null ? resolve(output) : reject(error)));
    }),
  output: (outcome) => outcome,
  close: async () => {},
};

/** MB/s of one buffer at a time; the check before leaves the output's length in `outputBytes`. */
function oneBuffer<T>(
  codec: AsyncCodec<T>,
  options: { plain: Buffer; outputBytes: Map<string, readonly number[]> },
): Contestant {
  const input = ownBuffer(options.plain);
  const transform = async (): Promise<Uint8Array> => codec.output(await codec.start(input));
  return {
    name: codec.name,
    verify: async () => {
      const output = await transform();
      const same = gunzipSync(output, { maxOutputLength: PLAIN_BYTES }).equals(options.plain);
      if (!same) throw new Error(`wrong bytes: ${codec.name}, gzip of ${PLAIN_BYTES} bytes`);
      options.outputBytes.set(codec.name, [output.length]);
    },
    measure: async () => {
      const startMs = performance.now();
      await transform();
      return PLAIN_BYTES / 1000 / (performance.now() - startMs);
    },
    close: () => codec.close(),
  };
}

function largeCase(options: { group: string; title: string; plain: () => Buffer }): BenchCase {
  const { group, title } = options;
  const rows = async (context: Parameters<BenchCase['rows']>[0]): Promise<Row[]> => {
    const plain = options.plain();
    const outputBytes = new Map<string, readonly number[]>();
    const samples = await contest(context, {
      rounds: Math.min(MOST_ROUNDS, context.rounds),
      openers: [
        ...ifSubject(context, async () => oneBuffer(await subjectGzip(LEVEL), { plain, outputBytes })),
        () => oneBuffer(zlibGzip, { plain, outputBytes }),
      ],
    });
    const faster = [{ baseline: zlibGzip.name, target: atLeast(1.8) }];
    const asSmall = [{ baseline: zlibGzip.name, target: atMost(1.001) }];
    return [
      ...compare({ group, unit: 'MB/s', samples, comparisons: faster }),
      ...compare({ group: `${group}-size`, unit: 'bytes', samples: outputBytes, comparisons: asSmall }),
    ];
  };
  return { group, title, rows };
}

/** The large-buffer cases. */
export const largeCases: readonly BenchCase[] = [
  largeCase({
    group: 'gzip-64m-text',
    title: 'one 64 MiB buffer of source text, gzip level 6, two engines',
    plain: () => sourceText(PLAIN_BYTES),
  }),
  largeCase({
    group: 'gzip-64m-binaries',
    title: 'one 64 MiB buffer of machine code, gzip level 6, two engines',
    plain: () => machineCode(PLAIN_BYTES),
  }),
];
