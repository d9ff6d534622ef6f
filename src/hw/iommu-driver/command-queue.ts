/**
 * The software end of the IOMMU's command queue: the ring, fences, and a backlog for what does not fit.
 *
 * Nothing is lost and nothing waits: commands that find the ring full stay in the backlog and move up when `advance`
 * sees the head move. A backlog beyond its bound (a device that owes an acknowledgement) is widened and merged:
 * invalidating more than was asked for is always right. Fences store rising sequence numbers into one word, so one
 * look at it tells which dones are due.
 */
import { assert } from '../../base/assert.js';
import { limits } from '../../base/limits.js';
import { COMMAND_BYTES } from '../iommu/command-layouts.js';
import { QueueBit, REGISTERS } from '../iommu/registers.js';
import { type Command, fence, isResponse, widened } from './commands.js';
import { type DriverParts, type QueueInMemory, writeQueueBase } from './registers-port.js';

/** A command, or a fence with those who wait for it. */
type Item = { readonly command: Command } | { readonly dones: readonly (() => void)[] };

interface Fence {
  readonly sequence: number;
  readonly dones: readonly (() => void)[];
}

const STUCK = QueueBit.memoryFault | QueueBit.illegalCommand;

export class CommandQueue {
  readonly #parts: DriverParts;
  readonly #address: number;
  readonly #entries: number;
  /** Physical address of the word that fences store into. */
  readonly #fenceAddress: number;
  #tail = 0;
  #sequence = 0;
  #backlog: Item[] = [];
  #mergeAt: number = limits.IOMMU_COMMAND_BACKLOG;
  readonly #fences: Fence[] = [];

  constructor(parts: DriverParts, queue: QueueInMemory, fenceAddress: number) {
    this.#parts = parts;
    this.#address = queue.address;
    this.#entries = 2 ** queue.logEntries;
    this.#fenceAddress = fenceAddress;
    writeQueueBase(parts.port, REGISTERS.cqb.at, queue);
    parts.port.writeRegister(REGISTERS.cqt.at, 0);
    parts.port.writeRegister(REGISTERS.cqcsr.at, QueueBit.enable | QueueBit.interruptEnable);
  }

  /** Commands and fences that wait for room in the ring. */
  get backlog(): number {
    return this.#backlog.length;
  }

  /** Appends `commands`; with `done`, a fence after them, which calls it when all of them have taken effect. */
  submit(commands: readonly Command[], done?: () => void): void {
    for (const command of commands) this.#backlog.push({ command });
    if (done !== undefined) this.#backlog.push({ dones: [done] });
    if (this.#backlog.length > this.#mergeAt) this.#merge();
    this.#fill();
  }

  /** Clears the fence interrupt; before `advance`, so that a fence in between raises it again. */
  acknowledge(): void {
    const { port } = this.#parts;
    port.writeRegister(
      REGISTERS.cqcsr.at,
      QueueBit.enable | QueueBit.interruptEnable | QueueBit.fenceInterrupt,
    );
  }

  /** Calls what completed fences owe, then moves the backlog up. */
  advance(): void {
    const status = this.#parts.port.readRegister(REGISTERS.cqcsr.at);
    assert((status & STUCK) === 0, `the IOMMU accepts its commands (cqcsr 0x${status.toString(16)})`);
    const reached = this.#parts.memory.load32(this.#fenceAddress);
    while (this.#fences.length > 0 && isReached(this.#fences[0]!.sequence, reached)) {
      for (const done of this.#fences.shift()!.dones) done();
    }
    this.#fill();
  }

  #fill(): void {
    const { port } = this.#parts;
    for (let room = this.#room(); this.#backlog.length > 0; room = this.#room()) {
      const whole = this.#backlog.length <= room;
      if (!whole && room < 2) return;
      // The last free slot is a fence: its interrupt comes when there is room for the rest.
      for (const item of this.#backlog.splice(0, whole ? room : room - 1)) this.#store(this.#commandOf(item));
      if (!whole) this.#store(fence(this.#fenceAddress, this.#sequence));
      else this.#mergeAt = limits.IOMMU_COMMAND_BACKLOG;
      // The IOMMU may run and call back inside this write: everything of ours is in order before it.
      port.writeRegister(REGISTERS.cqt.at, this.#tail);
    }
  }

  /** Free slots; one always stays empty, or a full ring would look like an empty one. */
  #room(): number {
    const head = this.#parts.port.readRegister(REGISTERS.cqh.at);
    return (head - this.#tail - 1 + this.#entries) % this.#entries;
  }

  #commandOf(item: Item): Command {
    if ('command' in item) return item.command;
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#fences.push({ sequence: this.#sequence, dones: item.dones });
    return fence(this.#fenceAddress, this.#sequence);
  }

  #store(command: Command): void {
    const at = this.#address + this.#tail * COMMAND_BYTES;
    for (let byte = 0; byte < COMMAND_BYTES; byte += 4) {
      this.#parts.memory.store32(at + byte, command.getUint32(byte, true));
    }
    this.#tail = (this.#tail + 1) % this.#entries;
  }

  /** Responses as they are, then every invalidation once and whole, then one fence for everybody who waits. */
  #merge(): void {
    const responses: Item[] = [];
    const wide = new Map<string, Item>();
    const dones: (() => void)[] = [];
    for (const item of this.#backlog) {
      if ('dones' in item) dones.push(...item.dones);
      else if (isResponse(item.command)) responses.push(item);
      else wide.set(keyOf(widened(item.command)), { command: widened(item.command) });
    }
    this.#backlog = [...responses, ...wide.values(), { dones }];
    // What cannot shrink further is bounded by the live address spaces; merging again pays only after it doubled.
    this.#mergeAt = Math.max(limits.IOMMU_COMMAND_BACKLOG, 2 * this.#backlog.length);
  }
}

/** Whether `sequence` is at or before `reached`, both modulo 2^32. */
function isReached(sequence: number, reached: number): boolean {
  return ((reached - sequence) | 0) >= 0;
}

function keyOf(command: Command): string {
  return [0, 4, 8, 12].map((at) => command.getUint32(at, true)).join();
}
