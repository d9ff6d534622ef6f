/**
 * The command queue: software writes commands, the IOMMU executes them in order. One thread only.
 *
 * The queue stops at its tail, at a command that is illegal or cannot be fetched, and at a fence that waits for
 * an ATS invalidation which the device has not completed, or for untranslated accesses under way to end. Head stays at
 * the command that stopped it.
 */
import type { MemoryView } from '../memory-view.js';
import { StallResponseCode } from './causes.js';
import {
  ATS,
  COMMAND_BYTES,
  IODIR,
  IOFENCE,
  IOTINVAL,
  isWellFormed,
  Opcode,
  RESUME,
} from './command-layouts.js';
import { ppnAt10 } from './pte.js';
import { entryCount } from './record-queue.js';
import { type IommuRegisterFile, PendingBit, QueueBit, REGISTERS } from './registers.js';
import { hasStallExtension } from './stall-extension.js';
import { type IommuMessage, NO_PASID } from './translation.js';

const { cqb, cqh, cqt, cqcsr } = REGISTERS;

/** Invalidations sent and not completed. One more waits in the queue until one of them completes. */
const MAX_OUTSTANDING_INVALIDATIONS = 256;

const STOPPED = QueueBit.memoryFault | QueueBit.timeout | QueueBit.illegalCommand;

/** What became of a command: executed, head moves on; or it stays, to be looked at again, with or without an error bit. */
const Verdict = { executed: 0, again: 1, waits: 2, illegal: 3, memoryFault: 4 } as const;

/** The address of a message to every device, and an empty payload. */
const TO_ALL = {
  rid: -1,
  dsv: false,
  dseg: 0,
  pasid: NO_PASID,
  payloadHigh: 0,
  payloadLow: 0,
} as const;

/** What the command queue works on. */
export interface CommandQueueOptions {
  readonly memory: MemoryView;
  readonly registers: IommuRegisterFile;
  /** Sends a message to a device; may complete an invalidation at once. */
  readonly sendMessage: (message: IommuMessage) => void;
  /** Called to set a bit of ipsr. */
  readonly raise: (pending: number) => void;
  /** Whether a fence for reads or writes waits until the devices' untranslated accesses under way have ended. */
  readonly drainsUntranslated: boolean;
}

/** Executes commands. */
export class CommandQueue {
  readonly #options: CommandQueueOptions;
  readonly #command = new DataView(new ArrayBuffer(COMMAND_BYTES));
  readonly #outstanding = new Set<number>();
  #nextId = 1;
  #running = false;
  /** The drain request of the fence at the head was sent. */
  #drainSent = false;

  constructor(options: CommandQueueOptions) {
    this.#options = options;
  }

  /** Executes commands until the queue stops. */
  run(): void {
    // A fence of before the queue was stopped is not the one that comes first when it starts again.
    if (!this.#isOn()) this.#drainSent = false;
    // A message or interrupt may lead back here; the outer call goes on with what it brought.
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#isRunnable() && this.#step());
    } finally {
      this.#running = false;
    }
  }

  /** Invalidation or drain `id` is finished. A number that is not outstanding changes nothing. */
  invalidationCompleted(id: number): void {
    if (this.#outstanding.delete(id)) this.run();
  }

  #isOn(): boolean {
    return (this.#options.registers.read32(cqcsr.at) & QueueBit.on) !== 0;
  }

  #isRunnable(): boolean {
    const { registers } = this.#options;
    const control = registers.read32(cqcsr.at);
    if ((control & QueueBit.on) === 0 || (control & STOPPED) !== 0) return false;
    return registers.read32(cqh.at) !== registers.read32(cqt.at) % entryCount(registers.read32(cqb.at));
  }

  /** Takes one command; answers whether the queue goes on. */
  #step(): boolean {
    const { registers } = this.#options;
    const count = entryCount(registers.read32(cqb.at));
    const head = registers.read32(cqh.at) % count;
    const verdict = this.#fetch(head) ? this.#judge() : Verdict.memoryFault;
    if (verdict === Verdict.memoryFault) this.#flag(QueueBit.memoryFault);
    if (verdict === Verdict.illegal) this.#flag(QueueBit.illegalCommand);
    if (verdict !== Verdict.executed) return verdict === Verdict.again;
    // Head moves before messages go out: the device's answer may arrive at once.
    registers.write32(cqh.at, (head + 1) % count);
    this.#drainSent = false;
    this.#afterwards();
    return true;
  }

  #fetch(head: number): boolean {
    const { memory, registers } = this.#options;
    const page = ppnAt10(registers.read32(cqb.at), registers.read32(cqb.at + 4));
    const address = page * 4096 + head * COMMAND_BYTES;
    if (address + COMMAND_BYTES > memory.bytes) return false;
    for (let at = 0; at < COMMAND_BYTES; at += 4) {
      this.#command.setUint32(at, memory.load32(address + at), true);
    }
    return true;
  }

  #flag(errorBit: number): void {
    const before = this.#options.registers.setBits(cqcsr.at, errorBit);
    if ((before & QueueBit.interruptEnable) !== 0) this.#options.raise(PendingBit.command);
  }

  /** Checks the fetched command and does what must be done before head moves. */
  #judge(): number {
    const command = this.#command;
    if (!isWellFormed(command, hasStallExtension(this.#options.registers))) return Verdict.illegal;
    switch (IOFENCE.fields.opcode.read(command, 0)) {
      case Opcode.iotinval:
        return this.#invalidateTranslations();
      case Opcode.iodir:
        return this.#invalidateDirectory();
      case Opcode.iofence:
        return this.#fence();
      case Opcode.resume:
        return Verdict.executed;
      default:
        return this.#canSend() ? Verdict.executed : Verdict.waits;
    }
  }

  #invalidateTranslations(): number {
    const { func3, pscv } = IOTINVAL.fields;
    const isGuest = func3.read(this.#command, 0) === 1;
    if (isGuest && pscv.read(this.#command, 0) === 1) return Verdict.illegal;
    this.#options.registers.invalidate();
    return Verdict.executed;
  }

  #invalidateDirectory(): number {
    const { func3, pid, dv } = IODIR.fields;
    const isProcess = func3.read(this.#command, 0) === 1;
    const wellFormed = isProcess ? dv.read(this.#command, 0) === 1 : pid.read(this.#command, 0) === 0;
    if (!wellFormed) return Verdict.illegal;
    this.#options.registers.invalidate();
    return Verdict.executed;
  }

  #fence(): number {
    if (this.#outstanding.size > 0) return Verdict.waits;
    if (this.#mustDrain()) {
      this.#requestDrain();
      // It may be over by now: no device has an access under way.
      return Verdict.again;
    }
    const { av, data, addressLow, addressHigh } = IOFENCE.fields;
    if (av.read(this.#command, 0) === 0) return Verdict.executed;
    const { memory } = this.#options;
    const quad = addressHigh.read(this.#command, 0) * 0x1_0000_0000 + addressLow.read(this.#command, 0);
    if (quad * 4 + 4 > memory.bytes) return Verdict.memoryFault;
    memory.store32(quad * 4, data.read(this.#command, 0));
    return Verdict.executed;
  }

  /** Whether the fence at the head stands for accesses of which nobody was asked yet. */
  #mustDrain(): boolean {
    const { pr, pw } = IOFENCE.fields;
    const orders = pr.read(this.#command, 0) === 1 || pw.read(this.#command, 0) === 1;
    return this.#options.drainsUntranslated && orders && !this.#drainSent;
  }

  #requestDrain(): void {
    const id = this.#nextId++;
    this.#outstanding.add(id);
    this.#drainSent = true;
    this.#options.sendMessage({ ...TO_ALL, type: 'drainRequest', id });
  }

  #canSend(): boolean {
    const isInvalidation = ATS.fields.func3.read(this.#command, 0) === 0;
    return !isInvalidation || this.#outstanding.size < MAX_OUTSTANDING_INVALIDATIONS;
  }

  /** What an executed command makes others notice. */
  #afterwards(): void {
    const opcode = IOFENCE.fields.opcode.read(this.#command, 0);
    if (opcode === Opcode.ats) this.#send();
    if (opcode === Opcode.resume) this.#sendStallResponse();
    if (opcode === Opcode.iofence && IOFENCE.fields.wsi.read(this.#command, 0) === 1) {
      this.#flag(QueueBit.fenceInterrupt);
    }
  }

  #send(): void {
    const { func3, pid, pv, dsv, rid, dseg, payloadHigh, payloadLow } = ATS.fields;
    const command = this.#command;
    const isInvalidation = func3.read(command, 0) === 0;
    const id = isInvalidation ? this.#nextId++ : 0;
    if (isInvalidation) this.#outstanding.add(id);
    this.#options.sendMessage({
      type: isInvalidation ? 'invalidationRequest' : 'pageGroupResponse',
      id,
      rid: rid.read(command, 0),
      dsv: dsv.read(command, 0) === 1,
      dseg: dseg.read(command, 0),
      pasid: pv.read(command, 0) === 1 ? pid.read(command, 0) : NO_PASID,
      payloadHigh: payloadHigh.read(command, 0),
      payloadLow: payloadLow.read(command, 0),
    });
  }

  #sendStallResponse(): void {
    const { abort, tag, did } = RESUME.fields;
    const command = this.#command;
    const deviceId = did.read(command, 0);
    const code = abort.read(command, 0) === 1 ? StallResponseCode.abort : StallResponseCode.retry;
    this.#options.sendMessage({
      type: 'stallResponse',
      id: 0,
      rid: deviceId & 0xffff,
      dsv: deviceId > 0xffff,
      dseg: deviceId >>> 16,
      pasid: NO_PASID,
      payloadHigh: code << 12,
      payloadLow: tag.read(command, 0),
    });
  }
}
