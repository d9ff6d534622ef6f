/**
 * A request on its way through a queue: the addresses that go into its SQE, and who is told of its end. Exactly
 * one of `complete` and `lost` is called, once.
 */
import type { Outcome, SqeFormat, Transfer } from './user-driver.js';
import type { Via } from './via.js';

/** What a flight went through, as far as its end needs to know. */
export interface Carrier {
  /** Device name as in /dev. */
  readonly device: string;
  /** How a result that came through here came about. */
  via(reason: string, attempts: number): Via;
}

export abstract class Flight implements Transfer {
  tag = 0;
  source = 0;
  sourceBytes = 0;
  destination = 0;
  destinationBytes = 0;
  dictionaryBytes = 0;
  state = 0;
  streamNew = false;
  final = true;
  checksum = 0;
  totalBytes = 0;
  /** Device time that the request is expected to take, ns. */
  expectedNs = 0;

  /** The shape of its SQE. */
  abstract readonly format: SqeFormat;
  /** The device has finished. `outcome` is valid during the call only. */
  abstract complete(outcome: Outcome, carrier: Carrier): void;
  /** The queue ended first; nothing of the request is in the device any more. */
  abstract lost(reason: string, carrier: Carrier): void;
}
