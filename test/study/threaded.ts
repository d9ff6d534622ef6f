/** Study: do real threads keep real compression to its shares, and what does a switch cost there? */
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type MachineDriver, startThreaded, type ThreadedMachine } from 'warpdrive/sim';
import { Pool, poolMemoryLimit } from '../../lib/pool.js';
import { limits } from '../../src/base/limits.js';
import { MiB, NS_PER_MS, NS_PER_US } from '../../src/base/units.js';
import type { CallResults } from '../../src/coproc/call-results.js';
import { sourceText } from '../bench/corpus.js';
import { quantileNs } from './measures.js';
import { finding, type Outcome, type Study, type StudyScope } from './study.js';

const INSTANCE = 'zip0';
const DOMAIN_BYTES = 64 * MiB;
const POOL_BYTES = 16 * MiB;
const DOMAINS = [
  { name: 'web', weight: 3 },
  { name: 'batch', weight: 1 },
] as const;
/** One request, bytes: about a millisecond at this level. */
const REQUEST_BYTES = 32 * 1024;
const LEVEL = 6;
/** Requests in flight for each domain: the device never waits for a user thread. */
const DEPTH = 32;
/** Before it is measured: threads start, code gets compiled. */
const WARM_UP_MS = 1000;
const ERROR_PART = 0.05;

type Details = CallResults['queryCoprocessor'];

/** The machine and its two domains, for one instance under `fair`. */
async function startMachine(driverUrl: string): Promise<ThreadedMachine> {
  const domains = DOMAINS.map(({ name, weight }) => ({
    name,
    memoryBytes: DOMAIN_BYTES,
    coprocessors: { [INSTANCE]: { weight: limits.WEIGHT * weight } },
  }));
  const instances = [{ id: INSTANCE, driver: 'zip', policy: 'fair' }];
  const config = { memoryBytes: 256 * MiB, instances, host: {}, domains };
  return (await startThreaded({ config, driverUrls: { zip: driverUrl } }))._unsafeUnwrap();
}

/** A pool in a domain of the machine. */
async function openPool(machine: ThreadedMachine, driver: MachineDriver, domain: string): Promise<Pool> {
  const platform = (await machine.createProcess({ domain }))._unsafeUnwrap();
  const userDrivers = [(await driver.userDriver()) as never];
  const memoryLimitBytes = poolMemoryLimit(POOL_BYTES);
  const source = { platform, userDrivers, memoryLimitBytes, end: async () => {} };
  return (await Pool.create(source))._unsafeUnwrap();
}

/** Keeps a domain busy until `isOver`; answers how many requests were done. */
async function keepBusy(pool: Pool, input: Buffer, isOver: () => boolean): Promise<number> {
  let done = 0;
  const lane = async (): Promise<void> => {
    for (; !isOver(); done++) {
      (await pool.compress(input, { format: 'deflate-raw', level: LEVEL, route: 'device' }))._unsafeUnwrap();
    }
  };
  await Promise.all(Array.from({ length: DEPTH }, lane));
  return done;
}

async function details(machine: ThreadedMachine): Promise<Details> {
  const answer = await machine.call({ call: 'queryCoprocessor', instance: INSTANCE });
  return answer._unsafeUnwrap() as Details;
}

/** Time of a domain, by the framework's ledger: what it ran, and what it went on though it was to stop. */
function usedNs(before: Details, after: Details, index: number): number {
  const of = ({ vcoprocs }: Details): number => vcoprocs[index]!.times.run + vcoprocs[index]!.times.denied;
  return of(after) - of(before);
}

const less = (after: readonly number[], before: readonly number[]): number[] =>
  after.map((count, bucket) => count - before[bucket]!);

/** What was found between two answers of the framework. */
export function outcomeOf(before: Details, after: Details): Outcome {
  const used = DOMAINS.map((_, index) => usedNs(before, after, index));
  const sum = used.reduce((total, ns) => total + ns, 0);
  const weights = DOMAINS.reduce((total, { weight }) => total + weight, 0);
  const shares = DOMAINS.map(({ name, weight }, index) => {
    const due = (weight / weights) * 100;
    const value = (used[index]! / sum) * 100;
    const error = (Math.abs(value - due) / due) * 100;
    const at = (what: string): string => `${what}/domain ${name}`;
    return [
      finding({ name: at('share'), value, unit: '%', due }),
      finding({ name: at('share error'), value: error, unit: '%', due: 0, atMost: ERROR_PART * 100 }),
    ];
  });
  const [from, to] = [before.switches, after.switches];
  const entered = to.entered - from.entered;
  const turnNs = sum / Math.max(1, entered);
  const halves = [
    ['leave', less(to.leaveHistogram, from.leaveHistogram)],
    ['enter', less(to.enterHistogram, from.enterHistogram)],
  ] as const;
  const quantiles = halves.flatMap(([half, histogram]) =>
    [0.5, 0.99].map((part) =>
      finding({
        name: `p${part * 100}, at most/switch: ${half}`,
        value: quantileNs(histogram, part) / NS_PER_US,
        unit: 'us',
      }),
    ),
  );
  const meanNs = (to.totalNs - from.totalNs) / Math.max(1, entered);
  return {
    findings: [
      ...shares.flat(),
      finding({ name: 'switches/switch', value: entered, unit: '1', atLeast: 2 }),
      finding({ name: 'turn, mean/switch', value: turnNs / NS_PER_MS, unit: 'ms' }),
      ...quantiles,
      finding({ name: 'both halves, mean/switch', value: meanNs / NS_PER_US, unit: 'us' }),
      finding({ name: 'part of a turn, mean/switch', value: (meanNs / turnNs) * 100, unit: '%' }),
    ],
    tables: [],
  };
}

async function run({ seconds }: StudyScope): Promise<Outcome> {
  const path = createRequire(import.meta.url).resolve('warpdrive/drivers/zip');
  const driverUrl = pathToFileURL(path).href;
  const { default: driver } = (await import(/* @vite-ignore */ driverUrl)) as { default: MachineDriver };
  const machine = await startMachine(driverUrl);
  const pools = await Promise.all(DOMAINS.map(({ name }) => openPool(machine, driver, name)));
  let isOver = false;
  const input = sourceText(REQUEST_BYTES);
  const busy = Promise.all(pools.map((pool) => keepBusy(pool, input, () => isOver)));
  await delay(WARM_UP_MS);
  const before = await details(machine);
  await delay(seconds * 1000);
  const after = await details(machine);
  isOver = true;
  await busy;
  for (const pool of pools) (await pool.close())._unsafeUnwrap();
  await machine.close();
  return outcomeOf(before, after);
}

export const threaded: Study = {
  name: 'threaded',
  question: 'Do real threads keep real compression to its shares, and what does a switch cost there?',
  method:
    'Two domains with weights 3 : 1 share one compression instance of a machine of real threads under fair. Each keeps 32 ' +
    'requests of 32 KiB in flight. Time is taken from the ledger of the framework, after 1 s of warm-up; shares are due ' +
    'within 5 %. Switches are taken from its histograms: the upper bounds of their buckets, which are powers of two of ns.',
  realTime: true,
  run,
};
