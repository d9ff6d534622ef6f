/**
 * A request on its way through a queue: what goes into its SQE, and who is told of its end. Exactly one of `complete`
 * and `lost` is called, once. Many of them may wait at the same time, so one holds little.
 */
import type { Outcome, SqeFormat, Transfer } from './user-driver.js';
import type { Via } from './via.js';

/** What a flight went through, as far as its end needs to know. */
export interface Carrier {
  /** Device name as in /dev. */
  readonly device: string;
  /** How a result that came through here came about. */
  via(reason: string, attempts: number): Via;
  /** Asks the device to end a flight that it carries at its next segment. */
  cancel(flight: Flight): void;
}

export abstract class Flight {
  /** Tag of its SQE, set by the ctx. */
  tag = 0;
  /** Who carries it, while somebody does. */
  carrier: Carrier | null = null;
  /** Input, and room for output: what comes back is checked against them. */
  sourceBytes = 0;
  destinationBytes = 0;
  /** Device time that the request is expected to take, ns. */
  expectedNs = 0;

  /** The shape of its SQE. */
  abstract readonly format: SqeFormat;
  /** Writes its addresses into `transfer`, which has its tag and lengths, and otherwise what a lone request has. */
  abstract describe(transfer: Transfer): void;
  /** The device has finished. `outcome` is valid during the call only. */
  abstract complete(outcome: Outcome, carrier: Carrier): void;
  /** The queue ended first; nothing of the request is in the device any more. */
  abstract lost(reason: string, carrier: Carrier): void;
}
