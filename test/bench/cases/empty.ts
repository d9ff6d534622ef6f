/** Requests that do nothing: what a request costs before a codec is involved. */
import { openBareRing } from '../bare-ring.js';
import { piscinaEmpty } from '../baselines/piscina.js';
import { zlibOneByte } from '../baselines/zlib.js';
import { type BenchCase, contest, ifSubject } from '../case.js';
import { type Requester, roundTripOf, throughputOf } from '../load.js';
import { atLeast, atMost, compare } from '../report.js';
import { subjectEmpty } from '../subject.js';

const DEPTH = 32;
/** Round trips of one sample. */
const TRIPS = 2000;
/** The bare ring whose caller waits for a posted message, and the one whose caller looks before it waits. */
const POSTED = { name: 'bare-ring', waking: 'posted' } as const;
const LOOKING = { name: 'bare-ring-looking', waking: 'looking' } as const;

const throughput: BenchCase = {
  group: 'empty-depth32',
  title: 'empty requests, 32 in flight, whole stack with Results',
  limitedBy:
    'CPU of the main thread: one Promise and one Result for each request, which the bare ring does not have.',
  rows: async (context) => {
    const measured = <T>(requester: Requester<T>) =>
      throughputOf(requester, {
        depth: DEPTH,
        sampleMs: context.sampleMs,
        count: DEPTH,
        check: () => {},
        figure: (perSecond) => perSecond,
      });
    const samples = await contest(context, {
      openers: [
        ...ifSubject(context, async () => measured(await subjectEmpty())),
        () => measured(piscinaEmpty('piscina')),
        () => measured(piscinaEmpty('piscina-8')),
        () => measured(zlibOneByte()),
        async () => measured(await openBareRing(POSTED)),
        async () => measured(await openBareRing(LOOKING)),
      ],
    });
    const comparisons = [
      { baseline: 'piscina', target: atLeast(40) },
      { baseline: 'piscina-8' },
      { baseline: 'zlib-async-1-byte', target: atLeast(60) },
      { baseline: POSTED.name, target: atLeast(0.42) },
      { baseline: LOOKING.name },
    ];
    return compare({ group: 'empty-depth32', unit: 'requests/s', samples, comparisons });
  },
};

const roundTrip: BenchCase = {
  group: 'empty-depth1',
  title: 'round trip of an empty request, one at a time, p50',
  limitedBy: 'The wake-up of the calling thread by a posted message.',
  rows: async (context) => {
    const measured = <T>(requester: Requester<T>) => roundTripOf(requester, { requests: TRIPS });
    const samples = await contest(context, {
      openers: [
        ...ifSubject(context, async () => measured(await subjectEmpty())),
        async () => measured(await openBareRing(POSTED)),
        async () => measured(await openBareRing(LOOKING)),
        () => measured(piscinaEmpty('piscina')),
        () => measured(zlibOneByte()),
      ],
    });
    const comparisons = [
      { baseline: POSTED.name, target: atMost(1.3) },
      { baseline: LOOKING.name },
      { baseline: 'piscina' },
      { baseline: 'zlib-async-1-byte' },
    ];
    return compare({ group: 'empty-depth1', unit: 'us p50', samples, comparisons });
  },
};

/** Throughput and round trip of empty requests. */
export const emptyCases: readonly BenchCase[] = [throughput, roundTrip];
