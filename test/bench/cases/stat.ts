/** How long others wait for the threads of libuv: `fs.stat`, while sixteen buffers of 4 MiB are compressed. */
import { stat } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { zlibGzip } from '../baselines/zlib.js';
import { type BenchCase, type BenchContext, contest, ifSubject, partOf } from '../case.js';
import { type AsyncCodec, requesterOf } from '../codec.js';
import { sourceText } from '../corpus.js';
import { type Contestant, median } from '../harness.js';
import { beside, type Requester, tripsUs, verifyAll } from '../load.js';
import { atMost, compare } from '../report.js';
import { subjectGzip } from '../subject.js';

const GZIPS = 16;
const PLAIN_BYTES = 4 * 1024 * 1024;
const LEVEL = 6;
const GROUP = 'stat-16-gzips';
/** Fewest round trips of a sample: a single one takes up to half a second with a baseline. */
const TRIPS = 5;
/** A sample with a baseline takes seconds. */
const MOST_ROUNDS = 5;
const NOTHING = new Uint8Array(0);

/** Asks for the times and the size of a file. */
const fileStat: Requester<unknown> = {
  name: 'fs.stat',
  issue: () => stat(process.execPath),
  accept: () => NOTHING,
  close: async () => {},
};

/** Median round trip, us. */
async function statUs({ sampleMs }: BenchContext): Promise<number> {
  return median(await tripsUs(fileStat, { sampleMs, least: TRIPS }));
}

/** The same while `codec` has sixteen buffers to compress. */
function busyWith<T>(codec: AsyncCodec<T>, context: BenchContext, plain: Buffer): Contestant {
  const requester = requesterOf(codec, [plain]);
  return {
    name: codec.name,
    verify: () =>
      verifyAll(requester, {
        count: 1,
        check: (_, output) => {
          if (!gunzipSync(output).equals(plain)) throw new Error(`wrong bytes: gzip of ${codec.name}`);
        },
      }),
    measure: () => beside(requester, { depth: GZIPS, foreground: () => statUs(context) }),
    close: () => codec.close(),
  };
}

/** The case of a call that waits for a thread. */
export const statCase: BenchCase = {
  group: GROUP,
  title: 'fs.stat p50 while 16 gzips of 4 MiB, level 6, are under way, against an idle process',
  limitedBy:
    'Two engine threads, the program and the thread of libuv on two cores; engine threads run at a lower priority where the host has one.',
  rows: async (context) => {
    const plain = sourceText(partOf(context, PLAIN_BYTES));
    const idle: Contestant = { name: 'idle', measure: () => statUs(context), close: async () => {} };
    const samples = await contest(context, {
      rounds: Math.min(MOST_ROUNDS, context.rounds),
      openers: [
        ...ifSubject(context, async () => busyWith(await subjectGzip(LEVEL), context, plain)),
        () => idle,
        () => busyWith(zlibGzip(LEVEL), context, plain),
      ],
    });
    const comparisons = [{ baseline: 'idle', target: atMost(3) }, { baseline: 'zlib-gzip' }];
    return compare({ group: GROUP, unit: 'us p50', samples, comparisons });
  },
};
