/** How long a small request of one tenant takes while another one floods the same devices with large ones. */
import { zlibAsync } from '../baselines/zlib.js';
import { type BenchCase, type BenchContext, contest, ifSubject, type Opener, partOf } from '../case.js';
import { type CodecInputs, requesterOf, textInputs } from '../codec.js';
import { type Contestant, percentile } from '../harness.js';
import { beside, type Requester, tripsUs, verifyAll } from '../load.js';
import { atMost, compare, type Row, SUBJECT } from '../report.js';
import { type SubjectTenants, subjectTenants } from '../subject.js';

const SMALL_BYTES = 4096;
const LARGE_BYTES = 1024 * 1024;
/** Large requests in flight: always some more than the engines execute. */
const FLOOD_DEPTH = 8;
/** Fewest small requests that a p99 is taken of, and how long a sample is at least. */
const TRIPS = 200;
const SAMPLE_MS = 1000;
const operation = { direction: 'deflate', level: 1 } as const;

/** The two loads. */
interface Loads {
  readonly small: CodecInputs;
  readonly large: CodecInputs;
}

/** Requests of both sides. */
interface Sides {
  readonly name: string;
  readonly small: Requester<unknown>;
  readonly flood: Requester<unknown>;
  /** Whether there is a flood in the measurement. */
  readonly flooded: boolean;
  close(): Promise<void>;
}

/** The p99 of a small request, us. */
function measured(sides: Sides, options: { context: BenchContext; loads: Loads }): Contestant {
  const { small, flood } = sides;
  const { context, loads } = options;
  const trips = { sampleMs: partOf(context, SAMPLE_MS), least: partOf(context, TRIPS) };
  const p99 = async (): Promise<number> => percentile(await tripsUs(small, trips), 99);
  const measure = (): Promise<number> =>
    sides.flooded ? beside(flood, { depth: FLOOD_DEPTH, foreground: p99 }) : p99();
  return {
    name: sides.name,
    verify: async () => {
      await verifyAll(small, { count: loads.small.inputs.length, check: loads.small.check });
      await verifyAll(flood, { count: loads.large.inputs.length, check: loads.large.check });
    },
    warmUp: async () => {
      await measure();
    },
    measure,
    close: () => sides.close(),
  };
}

/** Two tenants of one pool, with or without the flood. */
function ofTenants(tenants: SubjectTenants, options: { loads: Loads; alone: boolean }): Sides {
  const { loads, alone } = options;
  return {
    name: alone ? 'alone' : SUBJECT,
    small: requesterOf(tenants.small, loads.small.inputs),
    flood: requesterOf(tenants.large, loads.large.inputs),
    flooded: !alone,
    close: () => tenants.close(),
  };
}

/** The same requests through libuv's threads, which know no tenants. */
function ofZlib(loads: Loads): Sides {
  const codec = zlibAsync(operation);
  const small = requesterOf(codec, loads.small.inputs);
  const flood = requesterOf(codec, loads.large.inputs);
  return { name: codec.name, small, flood, flooded: true, close: async () => {} };
}

function tenantsCase(options: { group: string; devices: string; engines: number }): BenchCase {
  const { group, devices, engines } = options;
  const rows = async (context: BenchContext): Promise<Row[]> => {
    const loads: Loads = {
      small: textInputs({ operation, count: 16, plainBytes: SMALL_BYTES }),
      large: textInputs({ operation, count: 4, plainBytes: partOf(context, LARGE_BYTES) }),
    };
    const contestant = (alone: boolean): Opener[] =>
      ifSubject(context, async () =>
        measured(ofTenants(await subjectTenants(operation, { engines }), { loads, alone }), {
          context,
          loads,
        }),
      );
    const samples = await contest(context, {
      openers: [...contestant(false), ...contestant(true), () => measured(ofZlib(loads), { context, loads })],
    });
    const alone = context.subject ? [{ baseline: 'alone', target: atMost(3.5) }] : [];
    return compare({ group, unit: 'us p99', samples, comparisons: [...alone, { baseline: 'zlib-async' }] });
  };
  return {
    group,
    title: `deflate of 4 KiB, level 1, p99: one of two equal tenants, the other floods ${devices} with 1 MiB`,
    limitedBy:
      'A segment of 8 KiB of the flood, with the coding of a block at its end; the copies of the flood on the thread that both call from; with as many engines as cores also the turns that threads take on a core.',
    rows,
  };
}

/** The tenants: on one engine, which leaves a core to the program, and on two, which share both cores with it. */
export const tenantsCases: readonly BenchCase[] = [
  tenantsCase({ group: 'tenants-1-engine', devices: 'one engine', engines: 1 }),
  tenantsCase({ group: 'tenants-2-engines', devices: 'two engines', engines: 2 }),
];
