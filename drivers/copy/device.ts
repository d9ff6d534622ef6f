/**
 * The copy accelerator: what the hardware does with an SQE. The specification is SPEC.md beside this file; read
 * it first, it is one page.
 */
import {
  type DeviceDescription,
  type DeviceModel,
  type Dma,
  type DmaAddress,
  type DmaFault,
  limits,
  readAddress,
  type SqeRequest,
} from '../../src/driver-api.js';
import { Crc32c } from './crc32c.js';
import {
  COPY_BYTES_MAX,
  copyOperation,
  copyProgress,
  copyRegisters,
  copySqe,
  copyState,
  copyStatus,
  PROGRESS_VERSION,
  RESERVED_FROM,
  STATE_VERSION,
} from './layout.js';

const sqe = copySqe.fields;
const progress = copyProgress.fields;
const state = copyState.fields;
const segmentNs = (bytes: number): number => bytes * 0.1;

class CopyDevice implements DeviceModel {
  #requests = 0;

  *execute({ sqe: view, progress: kept }: SqeRequest, dma: Dma): Generator<number, void, void> {
    if (progress.version.read(kept, 0) === 0) this.#begin(view);
    progress.version.write(kept, 0, PROGRESS_VERSION);
    if (isMalformed(view)) sqe.status.write(view, 0, copyStatus.MALFORMED);
    else if (sqe.bytes.read(view, 0) > 0) yield* transfer(view, dma, kept);
  }

  #begin(view: DataView): void {
    this.#requests = (this.#requests + 1) >>> 0;
    sqe.processed.write(view, 0, 0);
    sqe.status.write(view, 0, copyStatus.DONE);
  }

  costNs(): number {
    return 100;
  }

  requestBytes({ sqe: view }: SqeRequest): number {
    return Math.min(sqe.bytes.read(view, 0), COPY_BYTES_MAX);
  }

  fail({ sqe: view }: SqeRequest, _fault: DmaFault): void {
    sqe.status.write(view, 0, copyStatus.ACCESS_FAILED);
  }

  queueStopped(): void {}

  liveRegister(): number {
    return this.#requests;
  }

  saveState(): Uint8Array {
    const saved = new Uint8Array(copyState.bytes);
    const view = new DataView(saved.buffer);
    state.version.write(view, 0, STATE_VERSION);
    state.requests.write(view, 0, this.#requests);
    return saved;
  }

  loadState(saved: Uint8Array): boolean {
    const view = new DataView(saved.buffer, saved.byteOffset, saved.length);
    if (saved.length !== copyState.bytes || state.version.read(view, 0) !== STATE_VERSION) return false;
    this.#requests = state.requests.read(view, 0);
    return true;
  }

  /** A request that has not begun, or one between two segments. */
  canResume({ sqe: view, progress: kept }: SqeRequest): boolean {
    const done = progress.done.read(kept, 0);
    if (progress.version.read(kept, 0) !== PROGRESS_VERSION) return isZero(kept);
    const bytes = sqe.bytes.read(view, 0);
    return done === bytes || (done < bytes && done % limits.SEGMENT_SHARED_BYTES === 0);
  }

  reset(): void {
    this.#requests = 0;
  }
}

function isZero(view: DataView): boolean {
  for (let at = 0; at < view.byteLength; at++) if (view.getUint8(at) !== 0) return false;
  return true;
}

function isMalformed(view: DataView): boolean {
  const operation = sqe.operation.read(view, 0);
  if (operation < copyOperation.copy || operation > copyOperation.crc32c) return true;
  if (sqe.bytes.read(view, 0) > COPY_BYTES_MAX) return true;
  if (view.getUint32(0, true) >>> 16 !== 0 || view.getUint32(4, true) >>> 8 !== 0) return true;
  for (let at = RESERVED_FROM; at < copySqe.bytes; at += 4) if (view.getUint32(at, true) !== 0) return true;
  return false;
}

/** Section 3, segment by segment; `processed` always says how far it came, and `kept` what a later run needs. */
function* transfer(view: DataView, dma: Dma, kept: DataView): Generator<number, void, void> {
  const operation = sqe.operation.read(view, 0);
  const bytes = sqe.bytes.read(view, 0);
  const source = readAddress(sqe.source, view, 0);
  const destination = readAddress(sqe.destination, view, 0);
  const crc = new Crc32c(progress.crc.read(kept, 0));
  for (let done = progress.done.read(kept, 0); done < bytes; ) {
    const part = Math.min(dma.segmentBytes, bytes - done);
    if (operation === copyOperation.copy) {
      const from = yield* dma.read(advance(source, done), part);
      // The write may wait for a page, and a view does not outlive a yield: it gets bytes of its own.
      yield* dma.write(advance(destination, done), from.slice());
    } else if (operation === copyOperation.fill) {
      yield* dma.write(advance(destination, done), new Uint8Array(part).fill(sqe.pattern.read(view, 0)));
    } else if (operation === copyOperation.crc32c) {
      crc.add(yield* dma.read(advance(source, done), part));
    } else {
      const left = (yield* dma.read(advance(source, done), part)).slice();
      const right = yield* dma.read(advance(destination, done), part);
      const difference = left.findIndex((byte, index) => byte !== right[index]);
      if (difference >= 0) return stop(view, done + difference, done + difference);
    }
    done += part;
    sqe.processed.write(view, 0, done);
    progress.done.write(kept, 0, done);
    progress.crc.write(kept, 0, crc.value);
    if (done < bytes) yield segmentNs(part);
  }
  stop(view, bytes, operation === copyOperation.crc32c ? crc.value : bytes);
}

function stop(view: DataView, processed: number, result: number): void {
  sqe.processed.write(view, 0, processed);
  sqe.result.write(view, 0, result);
}

function advance(address: DmaAddress, bytes: number): DmaAddress {
  return typeof address === 'number' ? address + bytes : address + BigInt(bytes);
}

/** The copy accelerator as the machine knows it. */
export const copyDevice: DeviceDescription = {
  name: 'copy',
  sqeBytes: copySqe.bytes,
  preemption: 'resume',
  registers: copyRegisters,
  create: () => new CopyDevice(),
};
