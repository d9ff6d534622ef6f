/**
 * The wires from the IOMMU to the devices, as the kernel side drives them: invalidation requests out and their
 * acknowledgements back, page responses out. The device's end is DmaPort.
 *
 * A device that is not powered on, or is gone, holds no translation: its invalidations are complete at once.
 */
import { INSTANCE_WORDS, instanceWord } from '../hw/instance-words.js';
import type { IommuMessage } from '../hw/iommu/translation.js';

interface PendingInvalidation {
  readonly id: number;
  readonly deviceId: number;
  /** The device's count of requests that acknowledges this one. */
  readonly count: number;
}

export class DeviceWires {
  readonly #words: Int32Array;
  readonly #wakeEngine: (deviceId: number) => void;
  readonly #alive = new Set<number>();
  #pending: PendingInvalidation[] = [];
  /** Tells the IOMMU; set once both exist. */
  completed: (id: number) => void = () => {};

  constructor(words: Int32Array, wakeEngine: (deviceId: number) => void) {
    this.#words = words;
    this.#wakeEngine = wakeEngine;
  }

  /** What the IOMMU sends. */
  send(message: IommuMessage): void {
    const block = message.rid * INSTANCE_WORDS;
    if (message.type === 'pageGroupResponse') {
      const prgi = message.payloadHigh & 0x1ff;
      const code = (message.payloadHigh >>> 12) & 0xf;
      Atomics.store(this.#words, block + instanceWord.PAGE_RESPONSES + prgi, code + 1);
      this.#wakeEngine(message.rid);
      return;
    }
    const count = (Atomics.add(this.#words, block + instanceWord.INVALIDATIONS_REQUESTED, 1) + 1) | 0;
    if (!this.#alive.has(message.rid)) return this.completed(message.id);
    this.#pending.push({ id: message.id, deviceId: message.rid, count });
    this.#wakeEngine(message.rid);
  }

  /** The device is powered on: from now on it acknowledges for itself. */
  connect(deviceId: number): void {
    this.#alive.add(deviceId);
  }

  /** The device is gone, and its cache with it. */
  disconnect(deviceId: number): void {
    this.#alive.delete(deviceId);
    this.#complete(({ deviceId: of }) => of === deviceId);
  }

  /** Takes what the devices have acknowledged since the last look. */
  collect(): void {
    if (this.#pending.length === 0) return;
    this.#complete(({ deviceId, count }) => {
      const acknowledged = Atomics.load(
        this.#words,
        deviceId * INSTANCE_WORDS + instanceWord.INVALIDATIONS_ACKNOWLEDGED,
      );
      return ((acknowledged - count) | 0) >= 0;
    });
  }

  #complete(isOver: (pending: PendingInvalidation) => boolean): void {
    const over = this.#pending.filter(isOver);
    this.#pending = this.#pending.filter((pending) => !over.includes(pending));
    for (const { id } of over) this.completed(id);
  }
}
