/**
 * A device with a register of every access kind, fed by its requests and by its doorbell: for the question whether a
 * domain can tell that it shares it. SQEs are those of the copy accelerator, of which it reads length and pattern; it
 * touches no memory.
 */
import copy from '../../drivers/copy/index.js';
import { copySqe } from '../../drivers/copy/layout.js';
import type {
  DeviceModel,
  DeviceSignals,
  Dma,
  Preemption,
  RegisterSpec,
  RegisterStore,
  SqeRequest,
} from '../../src/hw/device-model.js';
import type { MachineDriver } from '../../src/machine/machine-driver.js';

export const registerAt = {
  CONTROL: 0x00,
  LAST: 0x04,
  EVENTS: 0x08,
  ERRORS: 0x0c,
  BELL: 0x10,
  REQUESTS: 0x14,
  WIDE: 0x18,
  TIME: 0x20,
  RINGS: 0x28,
} as const;
export type RegisterName = keyof typeof registerAt;

const registers: readonly RegisterSpec[] = [
  {
    name: 'CONTROL',
    at: 0x00,
    width: 32,
    access: 'RW',
    reset: 3,
    doc: 'added to the result of each request',
  },
  { name: 'LAST', at: 0x04, width: 32, access: 'RO', reset: 0, doc: 'pattern of the request executed last' },
  {
    name: 'EVENTS',
    at: 0x08,
    width: 32,
    access: 'W1C',
    reset: 0,
    doc: 'bit 0-7: requests; bit 8-15: doorbells',
  },
  { name: 'ERRORS', at: 0x0c, width: 32, access: 'read-clear', reset: 0, doc: 'requests of odd length' },
  {
    name: 'BELL',
    at: 0x10,
    width: 32,
    access: 'doorbell',
    reset: 0,
    doc: 'sets an event, raises line value % 4',
  },
  { name: 'REQUESTS', at: 0x14, width: 32, access: 'live', reset: 0, doc: 'requests executed' },
  { name: 'WIDE', at: 0x18, width: 64, access: 'RW', reset: 2 ** 40, doc: 'for software' },
  { name: 'TIME', at: 0x20, width: 64, access: 'timer', reset: 0, doc: 'microseconds' },
  { name: 'RINGS', at: 0x28, width: 32, access: 'live', reset: 0, doc: 'doorbell writes' },
];

const sqe = copySqe.fields;
/** Interrupt line of requests; doorbells raise lines 0 to 3. */
const REQUEST_LINE = 4;

class RegisterDevice implements DeviceModel {
  readonly #signals: DeviceSignals;
  readonly #endlessBytes: number;
  #registers: RegisterStore | null = null;
  #requests = 0;
  #rings = 0;

  constructor(signals: DeviceSignals, endlessBytes: number) {
    this.#signals = signals;
    this.#endlessBytes = endlessBytes;
  }

  powerOn(store: RegisterStore): void {
    this.#registers = store;
  }

  *execute({ sqe: view, progress }: SqeRequest, dma: Dma): Generator<number, void, void> {
    const bytes = sqe.bytes.read(view, 0);
    for (let done = progress.getUint32(0); done < bytes; ) {
      const part = Math.min(dma.segmentBytes, bytes - done);
      if (bytes === this.#endlessBytes) done -= part;
      done += part;
      progress.setUint32(0, done);
      yield part;
    }
    this.#finish(view, bytes);
  }

  #finish(view: DataView, bytes: number): void {
    const pattern = sqe.pattern.read(view, 0);
    const store = this.#registers!;
    this.#requests += 1;
    store.store('LAST', pattern);
    store.store('EVENTS', (store.load('EVENTS') | (1 << (pattern & 7))) >>> 0);
    if (bytes % 2 === 1) store.store('ERRORS', store.load('ERRORS') + 1);
    sqe.result.write(view, 0, (store.load('CONTROL') + pattern) >>> 0);
    sqe.processed.write(view, 0, bytes);
    this.#signals.interrupt(REQUEST_LINE);
  }

  costNs(): number {
    return 500;
  }

  requestBytes({ sqe: view }: SqeRequest): number {
    return sqe.bytes.read(view, 0);
  }

  fail({ sqe: view }: SqeRequest): void {
    sqe.status.write(view, 0, 2);
  }

  queueStopped(): void {}

  registerWritten(_name: string, value: number): void {
    const store = this.#registers!;
    this.#rings += 1;
    store.store('EVENTS', (store.load('EVENTS') | (0x100 << (value & 7))) >>> 0);
    this.#signals.interrupt(value & 3);
  }

  liveRegister(name: string): number {
    return name === 'REQUESTS' ? this.#requests : this.#rings;
  }

  reset(): void {
    this.#requests = 0;
    this.#rings = 0;
  }
}

/**
 * The device as a driver module, left in the middle of a request in one of the four ways; a request of `endlessBytes`
 * bytes never ends.
 */
export function registerDriver(preemption: Preemption, endlessBytes = -1): MachineDriver {
  const device = { ...copy.device, name: 'dial', preemption, registers };
  const kernelDriver = { ...copy.kernelDriver, deviceName: 'dial', api: 'dial_v1' };
  return {
    ...copy,
    name: 'dial',
    device: { ...device, create: (signals) => new RegisterDevice(signals, endlessBytes) },
    kernelDriver,
  };
}
