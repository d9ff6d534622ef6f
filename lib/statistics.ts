/**
 * What a pool counted: requests, bytes, latencies and failures, a row for each operation and way, and why software
 * did what a device could have done. Taking note of a request costs a fraction of a microsecond and allocates nothing
 * once its row is there.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Result } from 'neverthrow';
import type { WdError } from '../src/base/errors.js';
import type { WdOutput } from './output.js';
import type { Path, Via } from './via.js';

/**
 * Latencies of a row in ns, from the call to its answer, of the operation's first TIMED_AT_FIRST calls and of each
 * TIMED_EVERY-th after them; 0 where there is none.
 */
export interface Latency {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Requests of one domain, operation and way. */
export interface StatisticsRow {
  /** Name of the tenant; `pool` for the pool itself. */
  readonly domain: string;
  readonly operation: string;
  /** Absent for requests that failed before they had a way. */
  readonly path?: Path;
  /** Device name as in /dev; absent for software. */
  readonly device?: string;
  readonly requests: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly latencyNs: Latency;
}

/** Requests that failed. */
export interface FailureRow {
  readonly domain: string;
  readonly operation: string;
  readonly kind: WdError['kind'];
  readonly requests: number;
}

/** Requests that software did, and why. */
export interface SoftwareRow {
  readonly domain: string;
  readonly operation: string;
  readonly reason: string;
  readonly requests: number;
}

/** What `Pool.stats` answers; numbers are numbers, counted since the pool was opened. */
export interface PoolStatistics {
  /** Of this shape. */
  readonly version: 1;
  readonly rows: readonly StatisticsRow[];
  readonly failures: readonly FailureRow[];
  readonly software: readonly SoftwareRow[];
  /** Requests that were given to a device again after the first was lost with them. */
  readonly replays: number;
  /** Outputs that were decoded and compared, and how many of them were wrong and made good in software. */
  readonly verified: number;
  readonly mismatches: number;
}

/** Two looks at the clock cost more than all other notes of a small request together: not each call gets them. */
const TIMED_AT_FIRST = 64;
const TIMED_EVERY = 8;

/** Latencies up to an hour, to about one percent. */
const HISTOGRAM = { lowest: 1, highest: 3_600_000_000_000, figures: 2 } as const;

class Row {
  readonly path: Path;
  readonly device: string | undefined;
  requests = 0;
  inputBytes = 0;
  outputBytes = 0;
  readonly latency: RecordableHistogram = createHistogram(HISTOGRAM);

  constructor(path: Path, device: string | undefined) {
    this.path = path;
    this.device = device;
  }

  latencies(): Latency {
    const { latency } = this;
    if (latency.count === 0) return { mean: 0, p50: 0, p99: 0, p999: 0, max: 0 };
    const [p50, p99, p999] = [50, 99, 99.9].map((percent) => latency.percentile(percent));
    return { mean: latency.mean, p50: p50!, p99: p99!, p999: p999!, max: latency.max };
  }
}

/** What is counted of one operation. */
export class OperationStatistics {
  readonly operation: string;
  readonly rows: Row[] = [];
  readonly failures = new Map<WdError['kind'], number>();
  readonly software = new Map<string, number>();
  /** The row of the last request: the next most likely has the same. */
  #lastVia: Via | null = null;
  #lastRow: Row | null = null;
  #calls = 0;

  constructor(operation: string) {
    this.operation = operation;
  }

  /** Whether the call that begins now is timed. */
  times(): boolean {
    this.#calls += 1;
    return this.#calls <= TIMED_AT_FIRST || this.#calls % TIMED_EVERY === 0;
  }

  /** A call has ended; `latencyNs` is null when it was not timed. */
  note(result: Result<WdOutput, WdError>, inputBytes: number, latencyNs: number | null): void {
    if (result.isErr()) return countIn(this.failures, result.error.kind);
    const { via, data } = result.value;
    const row = via === this.#lastVia ? this.#lastRow! : this.#rowOf(via);
    row.requests += 1;
    row.inputBytes += inputBytes;
    row.outputBytes += data.length;
    if (latencyNs !== null) row.latency.record(Math.max(1, Math.round(latencyNs)));
    if (via.path === 'software') countIn(this.software, via.reason);
  }

  #rowOf(via: Via): Row {
    const known = this.rows.find(({ path, device }) => path === via.path && device === via.device);
    const row = known ?? new Row(via.path, via.device);
    if (known === undefined) this.rows.push(row);
    this.#lastVia = via;
    this.#lastRow = row;
    return row;
  }
}

function countIn<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** What is counted of one pool. */
export class Statistics {
  replays = 0;
  verified = 0;
  mismatches = 0;
  readonly #operations = new Map<string, OperationStatistics>();

  /** The counts of an operation; the same ones for each call with its name. */
  operation(name: string): OperationStatistics {
    const known = this.#operations.get(name);
    if (known !== undefined) return known;
    const counts = new OperationStatistics(name);
    this.#operations.set(name, counts);
    return counts;
  }

  /** All of it; `domain` is the name that the rows get. */
  snapshot(domain: string): PoolStatistics {
    const operations = [...this.#operations.values()];
    return {
      version: 1,
      rows: operations.flatMap((counts) => rowsOf(domain, counts)),
      failures: operations.flatMap(({ operation, failures }) =>
        [...failures].map(([kind, requests]) => ({ domain, operation, kind, requests })),
      ),
      software: operations.flatMap(({ operation, software }) =>
        [...software].map(([reason, requests]) => ({ domain, operation, reason, requests })),
      ),
      replays: this.replays,
      verified: this.verified,
      mismatches: this.mismatches,
    };
  }
}

function rowsOf(domain: string, { operation, rows }: OperationStatistics): StatisticsRow[] {
  return rows.map((row) => ({
    domain,
    operation,
    path: row.path,
    ...(row.device === undefined ? {} : { device: row.device }),
    requests: row.requests,
    inputBytes: row.inputBytes,
    outputBytes: row.outputBytes,
    latencyNs: row.latencies(),
  }));
}

/** Several pools' statistics as one. */
export function joined(parts: readonly PoolStatistics[]): PoolStatistics {
  const sum = (count: (part: PoolStatistics) => number): number =>
    parts.reduce((total, part) => total + count(part), 0);
  return {
    version: 1,
    rows: parts.flatMap(({ rows }) => rows),
    failures: parts.flatMap(({ failures }) => failures),
    software: parts.flatMap(({ software }) => software),
    replays: sum(({ replays }) => replays),
    verified: sum(({ verified }) => verified),
    mismatches: sum(({ mismatches }) => mismatches),
  };
}
