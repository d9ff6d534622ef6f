/**
 * One call of the library from its start to its answer, whichever way it takes: what ends it early, what is told of
 * it, and that it is answered exactly once.
 */
import { err, type Result } from 'neverthrow';
import type { WdError } from '../src/base/errors.js';
import type { Platform } from '../src/uapi/syscall.js';
import { watchAbort } from './abort.js';
import { aborted, deadlineExceeded } from './failures.js';
import type { CallOptions } from './options.js';
import type { WdOutput } from './output.js';
import type { Prepared } from './prepared.js';

/** Whoever asked is told. */
export type Settle = (result: Result<WdOutput, WdError>) => void;

/** What a call is made from. */
export interface CallParts {
  readonly prepared: Prepared;
  readonly options: CallOptions;
  readonly inputBytes: number;
}

export class Call {
  readonly prepared: Prepared;
  readonly options: CallOptions;
  /** Why it takes the way that it takes. */
  reason: string;
  /** Whether a signal or a deadline can end it. */
  readonly isCancellable: boolean;
  /** Frees what the way holds once the call was cancelled; set by the way. */
  onCancel: (() => void) | null = null;
  /** Why it was cancelled, null while it was not. */
  cancelled: WdError | null = null;
  readonly #inputBytes: number;
  readonly #platform: Platform;
  /** Null when it is not timed. */
  readonly #startNs: number | null;
  #settle: Settle | null;
  #stopWatching: (() => void) | null = null;
  #deadline: NodeJS.Timeout | null = null;

  /** Begins now, on the platform's clock. */
  constructor(parts: CallParts, platform: Platform, settle: Settle) {
    const { prepared, options, inputBytes } = parts;
    this.prepared = prepared;
    this.options = options;
    this.reason = '';
    this.#inputBytes = inputBytes;
    this.#platform = platform;
    this.#startNs = prepared.statistics.times() ? platform.nowNs() : null;
    this.#settle = settle;
    const { signal, deadlineMs } = options;
    this.isCancellable = signal !== null || deadlineMs !== null;
    if (!this.isCancellable) return;
    if (signal !== null) this.#stopWatching = watchAbort(signal, () => this.#cancel(aborted(signal.reason)));
    if (deadlineMs !== null) {
      this.#deadline = setTimeout(() => this.#cancel(deadlineExceeded(deadlineMs)), deadlineMs).unref();
    }
  }

  /** Whether it was answered. */
  get settled(): boolean {
    return this.#settle === null;
  }

  /** Answers it, and has it counted; only the first answer counts. */
  settle(result: Result<WdOutput, WdError>): void {
    const settle = this.#settle;
    if (settle === null) return;
    this.#settle = null;
    if (this.isCancellable) this.#stopWaiting();
    const { statistics } = this.prepared;
    const latencyNs = this.#startNs === null ? null : this.#platform.nowNs() - this.#startNs;
    statistics.note(result, this.#inputBytes, latencyNs);
    settle(result);
  }

  #stopWaiting(): void {
    this.#stopWatching?.();
    if (this.#deadline !== null) clearTimeout(this.#deadline);
  }

  /** The caller is told now; what is in a queue comes back later. */
  #cancel(error: WdError): void {
    this.cancelled = error;
    this.settle(err(error));
    this.onCancel?.();
  }
}
