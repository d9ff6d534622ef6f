/**
 * The two queues that the IOMMU fills and software empties: fault records and page requests.
 *
 * Several threads append, one at a time under the append lock. A record is stored before the tail that publishes
 * it. A full queue loses the record and says so in its control register; so does one that is not in memory.
 */
import type { MemoryView } from '../memory-view.js';
import { ppnAt10 } from './pte.js';
import { type IommuRegisterFile, QueueBit } from './registers.js';

/** Where one queue has its registers and records. */
interface RecordQueueSpec {
  /** Byte offsets of its registers. */
  readonly base: number;
  readonly head: number;
  readonly tail: number;
  readonly control: number;
  /** Its bit of ipsr. */
  readonly pending: number;
  readonly recordBytes: number;
}

/** What became of a record. */
export const Append = { stored: 0, off: 1, memoryFault: 2, overflow: 3 } as const;

/** What a queue works on. */
export interface RecordQueueOptions {
  readonly spec: RecordQueueSpec;
  readonly memory: MemoryView;
  readonly registers: IommuRegisterFile;
  /** Names this thread in the append lock. */
  readonly lockHolder: number;
  /** Called after a bit of ipsr became set, without the lock. */
  readonly raise: (pending: number) => void;
}

/** Entries of the queue whose base register's low word is `baseLow`; 2 to 2^32. */
export function entryCount(baseLow: number): number {
  return 2 ** ((baseLow & 31) + 1);
}

/** Whether software has something new to see: a record, or an error bit that was not set in `before`. */
function isNews(outcome: number, before: number): boolean {
  if (outcome === Append.memoryFault) return (before & QueueBit.memoryFault) === 0;
  if (outcome === Append.overflow) return (before & QueueBit.overflow) === 0;
  return outcome === Append.stored;
}

/** Appends records to one queue. */
export class RecordQueue {
  readonly #options: RecordQueueOptions;
  /** The record to append, to be filled by the caller. */
  readonly record: DataView;

  constructor(options: RecordQueueOptions) {
    this.#options = options;
    this.record = new DataView(new ArrayBuffer(options.spec.recordBytes));
  }

  /** Appends `record`; answers one of `Append`. */
  append(): number {
    const { registers, lockHolder, spec, raise } = this.#options;
    registers.lock(lockHolder);
    const before = registers.read32(spec.control);
    const outcome = this.#appendLocked(before);
    registers.unlock();
    if (isNews(outcome, before) && (before & QueueBit.interruptEnable) !== 0) raise(spec.pending);
    return outcome;
  }

  #appendLocked(control: number): number {
    const { registers, spec } = this.#options;
    const running = QueueBit.enable | QueueBit.on;
    if ((control & running) !== running) return Append.off;
    if ((control & QueueBit.memoryFault) !== 0) return Append.memoryFault;
    if ((control & QueueBit.overflow) !== 0) return Append.overflow;
    const count = entryCount(registers.read32(spec.base));
    // Software may have written any head, and a base of a smaller queue.
    const tail = registers.read32(spec.tail) % count;
    const next = (tail + 1) % count;
    if (next === registers.read32(spec.head) % count) {
      registers.setBits(spec.control, QueueBit.overflow);
      return Append.overflow;
    }
    return this.#store(tail, next);
  }

  #store(tail: number, next: number): number {
    const { registers, spec, memory } = this.#options;
    const page = ppnAt10(registers.read32(spec.base), registers.read32(spec.base + 4));
    const address = page * 4096 + tail * spec.recordBytes;
    if (address + spec.recordBytes > memory.bytes) {
      registers.setBits(spec.control, QueueBit.memoryFault);
      return Append.memoryFault;
    }
    for (let at = 0; at < spec.recordBytes; at += 4) {
      memory.store32(address + at, this.record.getUint32(at, true));
    }
    registers.write32(spec.tail, next);
    return Append.stored;
  }
}
