/**
 * Builds a uacce device, step by step and undone in reverse when a step fails, and dismantles it. Nobody can find
 * the device before the last step has succeeded (hazard S16).
 */
import { PAGE_BYTES, pagesFor } from '../base/units.js';
import type { Clock } from '../hw/clock.js';
import type { CoprocPort } from '../hw/coproc-port.js';
import type { FaultModel } from '../hw/fault-model.js';
import { type FrameTable, frameOwner } from '../hw/frame-table.js';
import type { IommuControl } from '../hw/iommu-driver/control.js';
import type { ProcessDirectory } from '../hw/iommu-driver/process-directory.js';
import type { MmioBus } from '../hw/mmio-bus.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { QUEUE_CONTEXT_BYTES } from '../hw/queue-context.js';
import { errno } from '../uapi/errno.js';
import { IdPool } from './id-pool.js';
import type { KernelDriver } from './kernel-driver.js';
import { type MemoryDomain, tablesIn } from './memory-domain.js';
import { RingSpace } from './ring-space.js';
import type { Sva } from './sva.js';
import { UacceDevice } from './uacce-device.js';

/** What every device of a kernel is built with. */
export interface DeviceSurroundings {
  readonly memory: PhysicalMemory;
  readonly frames: FrameTable;
  readonly iommu: IommuControl;
  readonly mmio: MmioBus;
  readonly sva: Sva;
  readonly clock: Pick<Clock, 'nowNs'>;
  /** Tags of address spaces. */
  readonly pscids: IdPool;
  readonly nextEpoch: () => number;
  readonly interrupt: (waiter: number, mmioAddress: number) => void;
}

export interface DeviceRequest {
  readonly port: CoprocPort;
  readonly driver: KernelDriver;
  /** Whose processes see the device, and in whose memory its directories lie. */
  readonly domain: MemoryDomain;
  /**
   * Process directory of (device, domain), when somebody else makes and installs it: the framework, which replaces
   * device contexts. Absent: the kernel makes one and installs a context of its own.
   */
  readonly directory?: ProcessDirectory;
  /** What becomes of the device's page faults; `pageRequests` unless said otherwise. */
  readonly faultModel?: FaultModel;
  /** Hardware queue numbers, when several devices stand for one instance. Absent: 0 to `driver.queues` - 1. */
  readonly queueNumbers?: IdPool;
}

/** A device and what takes it apart. `dismantle` comes after `UacceDevice.remove`. */
export interface BuiltDevice {
  readonly device: UacceDevice;
  readonly dismantle: (done: () => void) => void;
}

type Undo = (done: () => void) => void;

/** Builds the device called `name`; `done` gets it, or a negated errno with everything undone. */
export function buildDevice(
  around: DeviceSurroundings,
  request: DeviceRequest,
  name: string,
  done: (built: BuiltDevice | number) => void,
): void {
  const { driver, port } = request;
  const build = (result: number): void => {
    if (result < 0) done(result);
    else allocate(around, request, name, done);
  };
  if (driver.probe === undefined) build(0);
  else driver.probe(port, build);
}

function allocate(
  around: DeviceSurroundings,
  request: DeviceRequest,
  name: string,
  done: (built: BuiltDevice | number) => void,
): void {
  const undos: Undo[] = [];
  const dismantle = (finish: () => void): void => {
    const undo = undos.pop();
    if (undo === undefined) finish();
    else undo(() => dismantle(finish));
  };
  const device = assemble(around, request, name, undos);
  if (device === null) {
    dismantle(() => done(-errno.ENOMEM));
    return;
  }
  install(around, request, device, undos, () => done({ device, dismantle }));
}

/** Every part in memory; null when one does not fit. */
function assemble(
  around: DeviceSurroundings,
  request: DeviceRequest,
  name: string,
  undos: Undo[],
): UacceDevice | null {
  const { port, driver, domain } = request;
  const directory = request.directory ?? ownDirectory(around, request, undos);
  const pscid = around.pscids.take();
  if (directory === null || pscid === null) return null;
  undos.push(now(() => around.pscids.give(pscid)));
  const ring = RingSpace.create({ ...around, domain, directory, pscid });
  if (ring === null) return null;
  undos.push((finish) => ring.destroy(finish));
  const contextsAddress = allocateContexts(around.frames, driver.queues, undos);
  if (contextsAddress === null) return null;
  const queueNumbers = request.queueNumbers ?? new IdPool(0, driver.queues - 1);
  return new UacceDevice({
    ...around,
    name,
    port,
    driver,
    domain,
    directory,
    ring,
    queueNumbers,
    contextsAddress,
  });
}

function ownDirectory(
  { iommu }: DeviceSurroundings,
  { port, domain }: DeviceRequest,
  undos: Undo[],
): ProcessDirectory | null {
  const directory = iommu.createProcessDirectory(port.deviceId, tablesIn(domain));
  if (directory !== null) undos.push(now(() => directory.destroy()));
  return directory;
}

function allocateContexts(frames: FrameTable, queues: number, undos: Undo[]): number | null {
  const count = pagesFor(queues * QUEUE_CONTEXT_BYTES);
  const address = frames.allocate({ frames: count, owner: frameOwner.MACHINE });
  if (address === null) return null;
  const free = (): void => {
    for (let frame = 0; frame < count; frame++) frames.release(address + frame * PAGE_BYTES);
  };
  undos.push(now(free));
  return address;
}

function install(
  { iommu }: DeviceSurroundings,
  { port, domain, directory, faultModel = 'pageRequests' }: DeviceRequest,
  device: UacceDevice,
  undos: Undo[],
  done: () => void,
): void {
  if (directory !== undefined) {
    done();
    return;
  }
  undos.push((finish) => iommu.clearDeviceContext(port.deviceId, finish));
  const processDirectory = device.options.directory.root;
  const { secondStage } = domain;
  iommu.setDeviceContext(port.deviceId, { secondStage, processDirectory, faultModel }, done);
}

function now(act: () => void): Undo {
  return (finish) => {
    act();
    finish();
  };
}
