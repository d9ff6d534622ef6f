/**
 * A domain that always wants the device: so that others wait for it, and lose it in the middle of what they do.
 */
import { NS_PER_US } from '../../src/base/units.js';
import type { MockPool, RingMock } from '../hw/ring-mock.js';
import { type DriverUnderTest, INPUT_BYTES } from './register-differential-driver.js';
import { sqeOf } from './register-differential-sqe.js';
import type { SharingBench } from './sharing-bench.js';

const NAME = 'rival';
/** Requests that it has in flight, and how long each takes at most: several slices, if the device is no faster. */
const IN_FLIGHT = 3;
const REQUEST_NS = 300 * NS_PER_US;

/** One domain with one queue that never runs dry while it has turns. */
export class Rival {
  readonly #ring: RingMock;
  readonly #sqe: Uint8Array;

  private constructor(ring: RingMock, pool: MockPool, { formats: [format] }: DriverUnderTest) {
    this.#ring = ring;
    const nsPerByte = (format!.expectedNs(INPUT_BYTES) - format!.expectedNs(0)) / INPUT_BYTES;
    const sourceBytes = Math.min(INPUT_BYTES, Math.floor(REQUEST_NS / nsPerByte));
    this.#sqe = sqeOf(format!, {
      source: pool.address,
      sourceBytes,
      destination: pool.address + INPUT_BYTES,
      destinationBytes: INPUT_BYTES,
    });
  }

  /** In a domain of its own, of `memoryBytes`. */
  static async start(bench: SharingBench, tested: DriverUnderTest, memoryBytes: number): Promise<Rival> {
    bench.domain(NAME, undefined, memoryBytes);
    const process = bench.process(NAME);
    const ring = await bench.queue(process, NAME, bench.instances[0]!.id, tested.formats[0]!.qcType);
    return new Rival(ring, await process.pool(2 * INPUT_BYTES), tested);
  }

  /** Its turn: what is completed is submitted again. */
  turn(): void {
    const ring = this.#ring;
    ring.completions();
    while (ring.sqTail - ring.cqHead < IN_FLIGHT) ring.submit(this.#sqe);
  }
}
