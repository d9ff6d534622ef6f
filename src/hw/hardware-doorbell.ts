/**
 * The hardware's own doorbell, one 64-bit register a queue for SQ tail and CQ head. Turns a store of it into the
 * free-running words of MMIO page 0, which is all that the engine looks at.
 *
 * Source: HiSilicon queue manager v2 and later. SQ and CQ share the address, so every store counts, in order.
 */
import { doorbellCommand, hardwareDoorbell, queueWord } from '../uapi/queue-layout.js';

export interface DoorbellQueue {
  readonly queueNumber: number;
  /** Physical address of the queue's MMIO page 0. */
  readonly mmioAddress: number;
  readonly sqDepth: number;
  readonly cqDepth: number;
}

const field = hardwareDoorbell.fields;

/**
 * Applies one store of `value` (8 bytes). Answers false when it names another queue, an index beyond the ring or an
 * unknown command: such a store has no effect.
 */
export function applyDoorbell(words: Int32Array, queue: DoorbellQueue, value: DataView): boolean {
  if (field.sqNumber.read(value, 0) !== queue.queueNumber) return false;
  const command = field.command.read(value, 0);
  const index = field.index.read(value, 0);
  if (command === doorbellCommand.SQ)
    return moveTo(words, { queue, offset: queueWord.SQ_TAIL, depth: queue.sqDepth, index });
  if (command !== doorbellCommand.CQ) return false;
  if (!moveTo(words, { queue, offset: queueWord.CQ_HEAD, depth: queue.cqDepth, index })) return false;
  if (field.priority.read(value, 0) !== 0) armNext(words, queue);
  return true;
}

/** Advances a free-running word to the next count that stands for `index`. */
function moveTo(
  words: Int32Array,
  to: { queue: DoorbellQueue; offset: number; depth: number; index: number },
): boolean {
  const { queue, offset, depth, index } = to;
  if (index >= depth) return false;
  const at = (queue.mmioAddress + offset) >>> 2;
  const count = Atomics.load(words, at) >>> 0;
  const ahead = (index - (count % depth) + depth) % depth;
  Atomics.store(words, at, (count + ahead) | 0);
  return true;
}

/** Priority of a CQ doorbell: an interrupt with the next CQE. */
function armNext(words: Int32Array, queue: DoorbellQueue): void {
  const head = Atomics.load(words, (queue.mmioAddress + queueWord.CQ_HEAD) >>> 2);
  Atomics.store(words, (queue.mmioAddress + queueWord.EVENT_INDEX) >>> 2, (head + 1) | 0);
}
