/** What a translation costs: on a hit of the device's cache, as a share of a request, and with nothing cached at all. */
import zip from '../../../drivers/zip/index.js';
import { GiB, PAGE_BYTES } from '../../../src/base/units.js';
import { openPool } from '../../../src/entry/sim.js';
import {
  newTranslationRequest,
  newTranslationResult,
  RequestType,
} from '../../../src/hw/iommu/translation.js';
import { permission } from '../../../src/hw/translation-cache.js';
import { InlineMachine } from '../../../src/machine/inline/inline-machine.js';
import { buildTables, DATA_PAGE, PAGE } from '../../checking/two-stage-tables.js';
import { TestMachine } from '../../hw/iommu/machine.js';
import { PortBench } from '../../hw/port-bench.js';
import type { BenchCase, BenchContext } from '../case.js';
import { requesterOf, textInputs } from '../codec.js';
import { driveFor } from '../load.js';
import { figureRow, nsPerCall, valueAtMost } from '../own-figure.js';
import { subjectCodec } from '../subject.js';

const PASID = 9;
/** Where the kernel begins to hand out addresses: beyond what a 32-bit integer holds. */
const FIRST_VA = 64 * GiB;
/** Pages that the hits are spread over: a quarter of the ATC. */
const PAGES = 256;
/** The request whose translations are counted. */
const REQUEST = { direction: 'deflate', level: 1 } as const;
const REQUEST_BYTES = 4096;
/** Requests over which translations are counted, after as many that fill the caches. */
const COUNTED = 64;
/** Engines of the pool that is measured. */
const ENGINES = 2;

/**
 * Translates on a port whose ATC knows all pages; answers a sample in ns. What is timed is a pass over all pages: a loop
 * around single translations, compiled by itself, would cost as much as they do.
 */
function hits(): (sampleMs: number) => number {
  const bench = new PortBench();
  for (let page = 0; page < PAGES; page++) bench.map(PASID, FIRST_VA + page * PAGE_BYTES);
  const { port } = bench;
  // An odd stride, so that neighbours in time are none in memory.
  const addresses = Float64Array.from({ length: PAGES }, (_, index) => {
    return FIRST_VA + ((index * 37) % PAGES) * PAGE_BYTES + index;
  });
  for (const address of addresses) {
    if (port.translate(PASID, address, permission.WRITE) < 0) throw new Error(`${address} was not found`);
  }
  const pass = (): number => {
    let sum = 0;
    for (let index = 0; index < PAGES; index++) {
      sum += port.translate(PASID, addresses[index]!, permission.WRITE);
    }
    return sum;
  };
  return (sampleMs) => {
    const { misses } = port.cache;
    const ns = nsPerCall(pass, { sampleMs }) / PAGES;
    if (port.cache.misses !== misses) throw new Error('a page was not in the ATC');
    return ns;
  };
}

/** Translations that one request needs, its rings included, when its pages are in the ATC: counted on the inline host. */
async function translationsPerRequest(input: Buffer): Promise<number> {
  let found = 0;
  const machine = InlineMachine.create({
    drivers: [zip],
    checkTranslations: () => (cache) => {
      if (cache === 'ATC') found += 1;
    },
  })._unsafeUnwrap();
  const pool = (await openPool(machine, [zip]))._unsafeUnwrap();
  const compress = async (): Promise<void> => {
    const options = { format: 'deflate-raw', level: REQUEST.level, route: 'device' } as const;
    for (let request = 0; request < COUNTED; request++) (await pool.compress(input, options))._unsafeUnwrap();
  };
  await compress();
  found = 0;
  await compress();
  (await pool.close())._unsafeUnwrap();
  return found / COUNTED;
}

/** Samples of one such request on a busy engine, ns. */
async function requestNs({ rounds, sampleMs }: BenchContext, inputs: readonly Buffer[]): Promise<number[]> {
  const requester = requesterOf(await subjectCodec(REQUEST), inputs);
  const samples: number[] = [];
  try {
    for (let round = 0; round < rounds + 1; round++) {
      samples.push((ENGINES * 1e9) / (await driveFor(requester, { depth: 32, sampleMs })));
    }
  } finally {
    await requester.close();
  }
  // The first one compiles.
  return samples.slice(1);
}

const hitCase: BenchCase = {
  group: 'translation-hit',
  title: 'a translation that the ATC knows, generation check included, and its share of a small request',
  limitedBy: 'Loads from shared memory: the entry of the cache and the generation, the latter an atomic one.',
  rows: async (context) => {
    const sample = hits();
    sample(context.sampleMs);
    const samples = Array.from({ length: context.rounds }, () => sample(context.sampleMs));
    const rows = [
      figureRow({
        name: 'translation-hit/ns',
        unit: 'ns',
        samples,
        target: valueAtMost(15),
        note: `CPU time, in passes over ${PAGES} pages that sum up the addresses`,
      }),
    ];
    if (!context.subject) return rows;
    const { inputs } = textInputs({ operation: REQUEST, count: 16, plainBytes: REQUEST_BYTES });
    const perRequest = await translationsPerRequest(inputs[0]!);
    const requests = await requestNs(context, inputs);
    const shares = requests.map((ns, round) => (100 * perRequest * samples[round]!) / ns);
    const note = `${perRequest} translations; engine time of a raw deflate of 4 KiB, level 1, both engines busy`;
    rows.push(
      figureRow({
        name: 'translation-hit/share',
        unit: '% of 4 KiB',
        samples: shares,
        target: valueAtMost(2),
        note,
      }),
    );
    return rows;
  },
};

/** Walks both stages with nothing cached; answers a sample in ns. */
function coldWalks(): (sampleMs: number) => number {
  const machine = new TestMachine();
  buildTables(machine);
  machine.startQueues().setDirectory(2, PAGE.device);
  const [request, result] = [newTranslationRequest(), newTranslationResult()];
  request.type = RequestType.ats;
  request.deviceId = 0;
  request.pasid = 1;
  const { registers, iommu } = machine;
  const walk = (): number => {
    // What an invalidation does: from now on no cache of the IOMMU holds anything, directories included.
    registers.invalidate();
    iommu.translate(request, result);
    return result.ppn;
  };
  if (walk() !== DATA_PAGE) throw new Error(`the walk ends at page ${result.ppn}, not ${DATA_PAGE}`);
  return (sampleMs) => nsPerCall(walk, { sampleMs });
}

const walkCase: BenchCase = {
  group: 'translation-walk',
  title: 'a walk of two stages, directories included, with all caches of the IOMMU empty',
  limitedBy:
    'Loads of directories and of page-table entries of both stages, and filling the caches that it missed.',
  rows: async ({ rounds, sampleMs }) => {
    const sample = coldWalks();
    sample(sampleMs);
    const samples = Array.from({ length: rounds }, () => sample(sampleMs));
    const note = 'CPU time; 4 KiB leaves in both stages, and the tables are in the caches of the processor';
    return [figureRow({ name: 'translation-walk/ns', unit: 'ns', samples, target: valueAtMost(500), note })];
  },
};

/** Translations. */
export const translationCases: readonly BenchCase[] = [hitCase, walkCase];
