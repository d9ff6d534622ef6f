/**
 * Litmus tests: two real threads execute the two sides of a protocol a great many times with short random delays,
 * and count the outcome that must not be. docs/memory-model.md has the argument for each of them.
 *
 * A test ends after a number of rounds or a time, whichever comes first; nothing is asserted about either, except
 * that there were rounds.
 */
import { MessageChannel, Worker } from 'node:worker_threads';

/** What a side reports. */
export interface LitmusReport {
  readonly rounds: number;
  /** How often the forbidden outcome was seen. */
  readonly forbidden: number;
}

export interface LitmusOptions {
  /** File name of the worker source, in this directory. */
  readonly source: string;
  /** Variant of the protocol: `right`, or one of the wrong ones that the source knows. */
  readonly variant?: string;
}

const WORDS = 1024;
/** Most rounds, and longest time, of a right order. */
const RIGHT_ROUNDS = 60_000;
const RIGHT_MS = 900;
/** Longest time of a wrong order, which ends as soon as it is caught. */
const WRONG_MS = 1500;

/** Executes both sides; the forbidden outcomes of both, and the rounds of side 0. */
export async function litmus(options: LitmusOptions): Promise<LitmusReport> {
  const { source, variant = 'right' } = options;
  const rounds = variant === 'right' ? RIGHT_ROUNDS : Number.POSITIVE_INFINITY;
  const milliseconds = variant === 'right' ? RIGHT_MS : WRONG_MS;
  const words = new SharedArrayBuffer(WORDS * 4);
  const { port1, port2 } = new MessageChannel();
  const reports = [port1, port2].map((port, side) => {
    const workerData = { words, side, variant, rounds, milliseconds, seed: 20_251, port };
    return execute(new Worker(new URL(source, import.meta.url), { workerData, transferList: [port] }));
  });
  const [first, second] = await Promise.all(reports);
  return { rounds: first!.rounds, forbidden: first!.forbidden + second!.forbidden };
}

function execute(worker: Worker): Promise<LitmusReport> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread ended with code ${code} without a report`)));
  });
}
