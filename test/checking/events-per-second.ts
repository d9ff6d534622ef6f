/**
 * How fast the inline host dispatches events while every cached translation is compared with an uncached walk: bursts
 * of small copies through a ring, by hand, so that nothing is measured but the machine. An event is one dispatch of the
 * virtual clock; each of them is an engine's step, an interrupt or a look of the kernel.
 */
import copy from '../../drivers/copy/index.js';
import { MiB } from '../../src/base/units.js';
import type { TranslationCheckFactory } from '../../src/machine/checking.js';
import { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import { copyOutcome, copySqeOf } from '../hw/copy-requests.js';
import { MockProcess, type RingMock } from '../hw/ring-mock.js';
import { checkingMode } from './checking-mode.js';

const COPY_BYTES = 64;
/** Requests of a burst; the rings hold more. */
const BURST = 32;
const POOL_BYTES = MiB;
const WARM_UP_BURSTS = 200;

/** What one measurement found. */
export interface EventRate {
  /** Events that the clock dispatched. */
  readonly events: number;
  readonly requests: number;
  readonly eventsPerSecond: number;
  /** Cached answers that the walk confirmed meanwhile; 0 without the checking mode. */
  readonly confirmed: number;
}

/** Dispatches at least `events` events, with the checking mode on or off. Throws when a copy fails or a cache lies. */
export async function eventsPerSecond(options: {
  readonly events: number;
  readonly checked: boolean;
}): Promise<EventRate> {
  const { factory, counters } = checkingMode();
  const load = await BurstLoad.open(options.checked ? factory : null);
  for (let burst = 0; burst < WARM_UP_BURSTS; burst++) load.burst();
  const confirmedBefore = counters.confirmed.ATC + counters.confirmed.IOTLB;
  const eventsBefore = load.machine.events;
  const startMs = performance.now();
  let requests = 0;
  while (load.machine.events - eventsBefore < options.events) requests += load.burst();
  const elapsedMs = performance.now() - startMs;
  const events = load.machine.events - eventsBefore;
  const confirmed = counters.confirmed.ATC + counters.confirmed.IOTLB - confirmedBefore;
  return { events, requests, eventsPerSecond: (events * 1000) / elapsedMs, confirmed };
}

class BurstLoad {
  readonly machine: InlineMachine;
  readonly #ring: RingMock;
  readonly #sqes: readonly Uint8Array[];

  private constructor(machine: InlineMachine, ring: RingMock, poolAddress: number) {
    this.machine = machine;
    this.#ring = ring;
    // Each request of a burst has pages of its own.
    const stride = POOL_BYTES / (2 * BURST);
    this.#sqes = Array.from({ length: BURST }, (_, index) =>
      copySqeOf({
        source: poolAddress + 2 * index * stride,
        destination: poolAddress + (2 * index + 1) * stride,
        bytes: COPY_BYTES,
        tag: index,
      }),
    );
  }

  static async open(checkTranslations: TranslationCheckFactory | null): Promise<BurstLoad> {
    const created = InlineMachine.create({ drivers: [copy], memoryBytes: 32 * MiB, checkTranslations });
    const process = new MockProcess(created._unsafeUnwrap());
    const ring = await process.queue();
    const { address } = await process.pool(POOL_BYTES);
    return new BurstLoad(process.machine, ring, address);
  }

  /** One burst to its end; its requests. */
  burst(): number {
    const ring = this.#ring;
    for (const sqe of this.#sqes) ring.place(sqe);
    ring.publishTail();
    this.machine.runUntilIdle();
    const done = ring.completions();
    if (done.length !== BURST) throw new Error(`${done.length} of ${BURST} copies came back`);
    for (const { sqe } of done) {
      const { status, processed } = copyOutcome(sqe);
      if (status !== 0 || processed !== COPY_BYTES) throw new Error(`a copy ended with status ${status}`);
    }
    return BURST;
  }
}
