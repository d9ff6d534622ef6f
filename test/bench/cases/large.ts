/** One large buffer in one call: does it use both engines, and does the output stay as small? */
import { gunzipSync } from 'node:zlib';
import { zlibGzip } from '../baselines/zlib.js';
import { type BenchCase, contest, ifSubject, partOf } from '../case.js';
import type { AsyncCodec } from '../codec.js';
import { machineCode, ownBuffer, sourceText } from '../corpus.js';
import type { Contestant } from '../harness.js';
import { atLeast, atMost, compare, type Row } from '../report.js';
import { subjectGzip } from '../subject.js';

const PLAIN_BYTES = 64 * 1024 * 1024;
const LEVEL = 6;
/** One sample takes seconds. */
const MOST_ROUNDS = 5;

/** MB/s of one buffer at a time; the check before leaves the output's length in `outputBytes`. */
function oneBuffer<T>(
  codec: AsyncCodec<T>,
  options: { plain: Buffer; outputBytes: Map<string, readonly number[]> },
): Contestant {
  const { plain } = options;
  const input = ownBuffer(plain);
  const transform = async (): Promise<Uint8Array> => codec.output(await codec.start(input));
  return {
    name: codec.name,
    verify: async () => {
      const output = await transform();
      const same = gunzipSync(output, { maxOutputLength: plain.length }).equals(plain);
      if (!same) throw new Error(`wrong bytes: ${codec.name}, gzip of ${plain.length} bytes`);
      options.outputBytes.set(codec.name, [output.length]);
    },
    measure: async () => {
      const startMs = performance.now();
      await transform();
      return plain.length / 1000 / (performance.now() - startMs);
    },
    close: () => codec.close(),
  };
}

function largeCase(options: { group: string; title: string; plain: (bytes: number) => Buffer }): BenchCase {
  const { group, title } = options;
  const rows = async (context: Parameters<BenchCase['rows']>[0]): Promise<Row[]> => {
    const plain = options.plain(partOf(context, PLAIN_BYTES));
    const outputBytes = new Map<string, readonly number[]>();
    const samples = await contest(context, {
      rounds: Math.min(MOST_ROUNDS, context.rounds),
      openers: [
        ...ifSubject(context, async () => oneBuffer(await subjectGzip(LEVEL), { plain, outputBytes })),
        () => oneBuffer(zlibGzip(LEVEL), { plain, outputBytes }),
      ],
    });
    const faster = [{ baseline: 'zlib-gzip', target: atLeast(1.8) }];
    const asSmall = [{ baseline: 'zlib-gzip', target: atMost(1.001) }];
    return [
      ...compare({ group, unit: 'MB/s', samples, comparisons: faster }),
      ...compare({ group: `${group}-size`, unit: 'bytes', samples: outputBytes, comparisons: asSmall }),
    ];
  };
  const limitedBy = 'Codec time: two engines are two cores, and blocks repeat a little work at their seams.';
  return { group, title, limitedBy, rows };
}

/** The large-buffer cases. */
export const largeCases: readonly BenchCase[] = [
  largeCase({
    group: 'gzip-64m-text',
    title: 'one 64 MiB buffer of source text, gzip level 6, two engines',
    plain: sourceText,
  }),
  largeCase({
    group: 'gzip-64m-binaries',
    title: 'one 64 MiB buffer of machine code, gzip level 6, two engines',
    plain: machineCode,
  }),
];
