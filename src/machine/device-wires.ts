/**
 * The wires from the IOMMU to the devices, as the kernel side drives them: invalidation and drain requests out and
 * their acknowledgements back, responses to page requests and stalls out. The device's end is DmaPort.
 *
 * A device that is not powered on, or is gone, holds no translation and makes no access: what is asked of it is
 * complete at once. One that does not acknowledge in time is reported (hazards S18, S19); what it owes is complete
 * when it acknowledges after all, or is gone, never because time has passed: until then it may still use the frames.
 */
import type { Trace } from '../base/trace.js';
import type { Clock } from '../hw/clock.js';
import { INSTANCE_WORDS, instanceWord } from '../hw/instance-words.js';
import type { IommuMessage } from '../hw/iommu/translation.js';
import { OverdueAlarm } from './overdue-alarm.js';

/** Group index of a page request, or tag of a stalled access: 9 bits. */
const RESPONSE_INDEX_MASK = 0x1ff;

/** One device that has to acknowledge. */
interface PendingRequest {
  /** The request; a drain asks several devices under one number. */
  readonly id: number;
  readonly deviceId: number;
  /** The device's count of requests that acknowledges this one. */
  readonly count: number;
  readonly sinceNs: number;
}

/** How long a device may take to acknowledge, and who hears of one that does not. */
export interface AcknowledgementBound {
  readonly clock: Clock;
  readonly timeoutNs: number;
  /** The device has let its time pass. Called once until it owes nothing any more. */
  readonly unresponsive: (deviceId: number) => void;
}

export class DeviceWires {
  readonly #words: Int32Array;
  readonly #wakeEngine: (deviceId: number) => void;
  readonly #bound: AcknowledgementBound | null;
  readonly #trace: Trace | null;
  readonly #alarm: OverdueAlarm | null;
  readonly #alive = new Set<number>();
  /** Devices that were reported and still owe something. */
  readonly #reported = new Set<number>();
  /** The oldest first. */
  #pending: PendingRequest[] = [];
  /** Tells the IOMMU; set once both exist. */
  completed: (id: number) => void = () => {};

  /** `words` are those of all instances. Without a bound, devices are waited for as long as they take. */
  constructor(
    words: Int32Array,
    wakeEngine: (deviceId: number) => void,
    bound: AcknowledgementBound | null = null,
    trace: Trace | null = null,
  ) {
    this.#trace = trace;
    this.#words = words;
    this.#wakeEngine = wakeEngine;
    this.#bound = bound;
    this.#alarm =
      bound === null
        ? null
        : new OverdueAlarm({
            clock: bound.clock,
            boundNs: bound.timeoutNs,
            overdue: () => this.#reportOverdue(),
          });
  }

  /** What the IOMMU sends. */
  send(message: IommuMessage): void {
    const { type, id, rid, payloadHigh, payloadLow } = message;
    if (type === 'invalidationRequest') this.#request(id, [rid], 'invalidation sent');
    else if (type === 'drainRequest') this.#request(id, [...this.#alive], 'drain sent');
    else this.#respond(rid, type === 'pageGroupResponse' ? payloadHigh : payloadLow, payloadHigh >>> 12);
  }

  /** The device is powered on: from now on it acknowledges for itself. */
  connect(deviceId: number): void {
    this.#alive.add(deviceId);
  }

  /** The device is gone: its cache with it, and it makes no access any more. */
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

  /** Answers the page request group, or the stalled access, number `index`; the bits above each are not looked at. */
  #respond(deviceId: number, index: number, code: number): void {
    const word = deviceId * INSTANCE_WORDS + instanceWord.PAGE_RESPONSES + (index & RESPONSE_INDEX_MASK);
    Atomics.store(this.#words, word, (code & 0xf) + 1);
    this.#wakeEngine(deviceId);
  }

  /** Counted for every device, so that one that is powered on later starts from the right number. */
  #request(id: number, deviceIds: readonly number[], point: string): void {
    const sinceNs = this.#bound?.clock.nowNs() ?? 0;
    const asked: PendingRequest[] = [];
    for (const deviceId of deviceIds) {
      const word = deviceId * INSTANCE_WORDS + instanceWord.INVALIDATIONS_REQUESTED;
      const count = (Atomics.add(this.#words, word, 1) + 1) | 0;
      this.#trace?.emit(point, deviceId, count);
      if (this.#alive.has(deviceId)) asked.push({ id, deviceId, count, sinceNs });
    }
    if (asked.length === 0) return this.completed(id);
    this.#pending.push(...asked);
    this.#watch();
    for (const { deviceId } of asked) this.#wakeEngine(deviceId);
  }

  #complete(isOver: (pending: PendingRequest) => boolean): void {
    const [over, open]: [PendingRequest[], PendingRequest[]] = [[], []];
    for (const pending of this.#pending) (isOver(pending) ? over : open).push(pending);
    if (over.length === 0) return;
    this.#pending = open;
    for (const { deviceId, count } of over) this.#trace?.emit('acknowledged', deviceId, count);
    for (const deviceId of this.#reported) if (!owes(open, deviceId)) this.#reported.delete(deviceId);
    this.#watch();
    const stillOpen = new Set(open.map(({ id }) => id));
    // Each of these may lead to the next request: everything of ours is in order by now.
    for (const id of new Set(over.map((pending) => pending.id))) if (!stillOpen.has(id)) this.completed(id);
  }

  #watch(): void {
    const oldest = this.#pending.find(({ deviceId }) => !this.#reported.has(deviceId));
    this.#alarm?.watch(oldest?.sinceNs ?? null);
  }

  #reportOverdue(): void {
    this.collect();
    const late = new Set<number>();
    for (const { deviceId, sinceNs } of this.#pending) {
      if (!this.#reported.has(deviceId) && this.#alarm!.isOver(sinceNs)) late.add(deviceId);
    }
    for (const deviceId of late) this.#reported.add(deviceId);
    this.#watch();
    for (const deviceId of late) this.#bound!.unresponsive(deviceId);
  }
}

function owes(pending: readonly PendingRequest[], deviceId: number): boolean {
  return pending.some(({ deviceId: of }) => of === deviceId);
}
