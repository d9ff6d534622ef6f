/**
 * Requests for whoever traces a program: a tracing channel of `node:diagnostics_channel` called `warpdrive:request`.
 * `start` and `end` surround the call, `asyncStart` and `asyncEnd` its answer, `error` comes before them when it is one;
 * all carry the same RequestContext. Without a subscriber a request costs one look.
 */
import { tracingChannel } from 'node:diagnostics_channel';
import type { Result } from 'neverthrow';
import type { WdError } from '../src/base/errors.js';
import type { WdOutput } from './output.js';
import type { Via } from './via.js';

/** What subscribers are given. `result` and `error` are there once the request has ended. */
export interface RequestContext {
  readonly operation: string;
  /** Name of the tenant; `pool` for the pool itself. */
  readonly domain: string;
  readonly inputBytes: number;
  result?: { readonly outputBytes: number; readonly via: Via };
  error?: WdError;
}

const channel = tracingChannel<string, RequestContext>('warpdrive:request');
const parts = [channel.start, channel.end, channel.asyncStart, channel.asyncEnd, channel.error];

/** Whether anybody listens. */
export function isTraced(): boolean {
  for (let i = 0; i < parts.length; i++) if (parts[i]!.hasSubscribers) return true;
  return false;
}

/** Runs a call under the eyes of the subscribers. */
export function traced(context: RequestContext, start: () => void): void {
  channel.start.runStores(context, start);
  channel.end.publish(context);
}

/** A request that subscribers know has ended; `answer` tells the caller. */
export function tracedEnd(
  context: RequestContext,
  result: Result<WdOutput, WdError>,
  answer: () => void,
): void {
  if (result.isOk()) {
    const { data, via } = result.value;
    context.result = { outputBytes: data.length, via };
  } else {
    context.error = result.error;
    channel.error.publish(context);
  }
  channel.asyncStart.runStores(context, answer);
  channel.asyncEnd.publish(context);
}
