/**
 * What a program does that lives for long: pools, tenants, sessions, streams and cancelled requests that come and go. It
 * is started with `--expose-gc` and a factor, and prints one line of JSON: for each thing, what the process held when a
 * third of them had gone and when all had. The factor 1 takes seconds; 20 makes 1,000 pools and 100,000 sessions.
 */
import { readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import * as wd from 'warpdrive';
import copy from 'warpdrive/drivers/copy';
import zip from 'warpdrive/drivers/zip';
import { Machine, openPool } from 'warpdrive/sim';

/** What the process holds after a collection. `threads` is 0 where the system does not tell. */
export interface Held {
  readonly heapBytes: number;
  readonly residentBytes: number;
  /** Kinds of what keeps the program from ending, sorted. */
  readonly resources: readonly string[];
  readonly threads: number;
}

/** One thing that comes and goes, and what was held after a third of the rounds and after the last. */
export interface LeakRow {
  readonly name: string;
  readonly rounds: number;
  readonly early: Held;
  readonly late: Held;
}

/** What the program prints. */
export interface LeakReport {
  readonly before: Held;
  readonly rows: readonly LeakRow[];
  readonly after: Held;
}

/** `make` answers what is done once in each round, and what is to be closed afterwards. */
interface Comings {
  readonly name: string;
  readonly rounds: number;
  make(): Promise<{ round: (index: number) => Promise<void>; end: () => Promise<void> }>;
}

const text = 'A leak is what is left when everybody has gone home. '.repeat(200);
const piece = Buffer.alloc(70_000, text);

async function held(): Promise<Held> {
  for (let i = 0; i < 4; i++) {
    await turn();
    globalThis.gc?.();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo().sort();
  return { heapBytes: heapUsed + external, residentBytes: rss, resources, threads: threadCount() };
}

function threadCount(): number {
  try {
    return readdirSync('/proc/self/task').length;
  } catch {
    return 0;
  }
}

async function newMachine() {
  const machine = Machine.create({ drivers: [zip, copy], memoryBytes: 256 * 2 ** 20 })._unsafeUnwrap();
  return { machine, open: async () => (await openPool(machine, [zip, copy]))._unsafeUnwrap() };
}

async function inlinePool() {
  const pool = await (await newMachine()).open();
  const end = async (): Promise<void> => (await pool.close())._unsafeUnwrap();
  return { pool, end };
}

/** One call of every kind, so that all that a pool has is made. */
async function useOnce(pool: wd.Pool): Promise<void> {
  const buffer = (await pool.alloc(5000))._unsafeUnwrap();
  (await pool.compress(buffer, { route: 'device' }))._unsafeUnwrap();
  const items = [
    { op: 'copy', input: text },
    { op: 'compress', input: text, verify: true },
  ];
  for (const result of (await pool.batch(items))._unsafeUnwrap()) result._unsafeUnwrap();
}

const nothing = async (): Promise<void> => {};

/** Everything that comes and goes, with so many rounds that a leak shows. */
function comings(factor: number): readonly Comings[] {
  return [
    {
      name: 'machines',
      rounds: 12 * factor,
      make: async () => ({
        round: async () => {
          const { pool, end } = await inlinePool();
          await useOnce(pool);
          await end();
        },
        end: nothing,
      }),
    },
    {
      name: 'pools of one machine',
      rounds: 50 * factor,
      make: async () => {
        const { open } = await newMachine();
        const round = async (): Promise<void> => {
          const pool = await open();
          await useOnce(pool);
          (await pool.close())._unsafeUnwrap();
        };
        return { round, end: nothing };
      },
    },
    {
      name: 'sessions',
      rounds: 5000 * factor,
      make: async () => {
        const { pool, end } = await inlinePool();
        const round = async (index: number): Promise<void> => {
          const session = pool.session({
            op: 'compress',
            level: index % 10,
            maxOutputLength: 20_000 + index,
          });
          if (index % 50 === 0) (await session._unsafeUnwrap().run(text))._unsafeUnwrap();
        };
        return { round, end };
      },
    },
    {
      name: 'memory of the pool',
      rounds: 1000 * factor,
      make: async () => {
        const { pool, end } = await inlinePool();
        const round = async (index: number): Promise<void> => {
          const buffer = (await pool.alloc(1000 + (index % 7) * 1000))._unsafeUnwrap();
          if (index % 20 === 0) (await pool.compress(buffer, { route: 'device' }))._unsafeUnwrap();
          buffer.subarray(10).free();
        };
        return { round, end };
      },
    },
    {
      name: 'streams',
      rounds: 200 * factor,
      make: async () => {
        const { pool, end } = await inlinePool();
        const session = pool.session({ op: 'compress', level: 1 })._unsafeUnwrap();
        return { round: (index) => streamRounds[index % streamRounds.length]!(pool, session), end };
      },
    },
    {
      name: 'aborted requests',
      rounds: 400 * factor,
      make: async () => {
        const { pool, end } = await inlinePool();
        return { round: (index) => abortOne(pool, index), end };
      },
    },
    {
      name: 'tenants',
      rounds: 12 * factor,
      make: async () => {
        const pool = (await wd.open({ engines: 1, memoryBytes: 256 * 2 ** 20 }))._unsafeUnwrap();
        const round = async (index: number): Promise<void> => {
          const tenant = pool.domain(`tenant-${index}`, { isolation: index % 3 === 0 ? 'context' : 'queue' });
          (await tenant.compress(text))._unsafeUnwrap();
          await tenant.close();
        };
        return { round, end: async () => (await pool.close())._unsafeUnwrap() };
      },
    },
    {
      name: 'pools on threads',
      rounds: 9 + factor,
      make: async () => ({
        round: async () => {
          const pool = (await wd.open({ engines: 1, memoryBytes: 64 * 2 ** 20 }))._unsafeUnwrap();
          await useOnce(pool);
          (await pool.close())._unsafeUnwrap();
        },
        end: nothing,
      }),
    },
  ];
}

type StreamRound = (pool: wd.Pool, session: wd.Session) => Promise<void>;

/** A stream that is ended, destroyed before it has begun, in the middle, unread; and one that is left. */
const streamRounds: readonly StreamRound[] = [
  async (_pool, session) => {
    const stream = session.nodeStream();
    stream.end(piece);
    for await (const _ of stream);
  },
  async (_pool, session) => {
    session.nodeStream().destroy();
  },
  async (_pool, session) => {
    const stream = session.nodeStream().resume();
    stream.write(piece);
    await turn();
    await turn();
    stream.destroy();
  },
  async (_pool, session) => {
    const stream = session.nodeStream();
    stream.end(piece);
    await turn();
    stream.destroy();
  },
  async (pool) => {
    for await (const _ of pool.compressStream(pieces(), { level: 1, blockBytes: 65_536 })) break;
  },
];

async function* pieces(): AsyncGenerator<Buffer> {
  for (;;) yield piece;
}

/** Aborted at once, while it waits, while it runs, or too late; each way of a call in turn. */
async function abortOne(pool: wd.Pool, index: number): Promise<void> {
  const controller = new AbortController();
  const ways = [{ route: 'device' }, { route: 'software' }, { split: false }, { verify: true }] as const;
  const options = { ...ways[index % ways.length], level: 1, signal: controller.signal, deadlineMs: 60_000 };
  const calls = [pool.compress(piece, options), pool.compress(text, options)];
  for (let turns = index % 5; turns > 0; turns--) await turn();
  controller.abort();
  for (const result of await Promise.all(calls))
    if (result.isErr() && result.error.kind !== 'Aborted') throw result.error;
}

async function rowOf({ name, rounds, make }: Comings): Promise<LeakRow> {
  const { round, end } = await make();
  let early: Held | null = null;
  for (let index = 0; index < rounds; index++) {
    await round(index);
    if (index === Math.floor(rounds / 3)) early = await held();
  }
  const late = await held();
  await end();
  return { name, rounds, early: early!, late };
}

// Its own pipes are opened when they are first looked at, by a worker if by nobody else.
for (const pipe of [process.stdout, process.stderr]) pipe.uncork();
// Node starts the threads of its own pool at the first use, some versions before a program begins, and keeps them.
await stat('.');
const before = await held();
const rows: LeakRow[] = [];
for (const coming of comings(Number(process.argv[2] ?? 1))) rows.push(await rowOf(coming));
let after = await held();
// What is given back a moment later has that moment.
for (let looks = 0; looks < 100 && holdsMore(after); looks++) after = await held();
console.log(JSON.stringify({ before, rows, after } satisfies LeakReport));

function holdsMore({ threads, resources }: Held): boolean {
  return threads > before.threads || resources.length > before.resources.length;
}
