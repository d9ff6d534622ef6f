/**
 * The device directory as software writes it: one level, one page of 128 device contexts. A context becomes valid
 * with the last word stored, so a walk on another thread sees all of it or none (hazard S27).
 */
import { assert } from '../../base/assert.js';
import type { Field } from '../../base/layout.js';
import { limits } from '../../base/limits.js';
import { PAGE_BYTES } from '../../base/units.js';
import type { FaultModel } from '../fault-model.js';
import { DirectoryMode, FscMode } from '../iommu/device-directory.js';
import { DEVICE_CONTEXT } from '../iommu/layouts.js';
import { REGISTERS } from '../iommu/registers.js';
import type { DeviceContextContents } from './control.js';
import { type DriverParts, pageFieldLow } from './registers-port.js';

const { fields } = DEVICE_CONTEXT;
const SV39X4 = 8;

assert(limits.INSTANCES_MAX * DEVICE_CONTEXT.bytes <= PAGE_BYTES, 'one page holds every device context');

/** Bits of tc that a fault model sets. */
const BITS_OF_MODEL: Readonly<Record<FaultModel, readonly Field[]>> = {
  pageRequests: [fields.enAts, fields.enPri],
  stall: [fields.stall],
  none: [],
};

export class DeviceTable {
  readonly #parts: DriverParts;
  readonly #address: number;
  /** Devices whose contexts never allowed ATS: nothing is in a cache of theirs. */
  readonly #cacheless = new Set<number>();
  /** Devices that had a context with ATS. */
  readonly #cachers = new Set<number>();

  /** Takes the zeroed page at `address` and points the IOMMU at it. */
  constructor(parts: DriverParts, address: number) {
    this.#parts = parts;
    this.#address = address;
    parts.port.writeRegister(REGISTERS.ddtp.at, pageFieldLow(address) + DirectoryMode.oneLevel);
  }

  isValid(deviceId: number): boolean {
    return fields.valid.read(this.#parts.memory.data, this.#contextAddress(deviceId)) === 1;
  }

  /** Stores a context whose slot is invalid and in no cache. */
  write(deviceId: number, contents: DeviceContextContents): void {
    assert(!this.isValid(deviceId), `the context of device ${deviceId} is out of use while it is written`);
    this.#note(deviceId, contents.faultModel);
    const image = imageOf(contents);
    const at = this.#contextAddress(deviceId);
    for (let byte = DEVICE_CONTEXT.bytes - 4; byte >= 0; byte -= 4) {
      this.#parts.memory.store32(at + byte, image.getUint32(byte, true));
    }
  }

  clear(deviceId: number): void {
    this.#parts.memory.store32(this.#contextAddress(deviceId), 0);
  }

  /**
   * Whether the device may hold translations of its own. One that had no context yet counts as one that may: to ask
   * too many is always right.
   */
  mayCache(deviceId: number): boolean {
    return !this.#cacheless.has(deviceId);
  }

  #note(deviceId: number, faultModel: FaultModel): void {
    if (faultModel === 'pageRequests') {
      this.#cachers.add(deviceId);
      this.#cacheless.delete(deviceId);
    } else if (!this.#cachers.has(deviceId)) {
      this.#cacheless.add(deviceId);
    }
  }

  #contextAddress(deviceId: number): number {
    assert(
      deviceId >= 0 && deviceId < limits.INSTANCES_MAX,
      `device ${deviceId} has a slot in the directory`,
    );
    return this.#address + deviceId * DEVICE_CONTEXT.bytes;
  }
}

function imageOf({ secondStage, processDirectory, faultModel }: DeviceContextContents): DataView {
  const image = new DataView(new ArrayBuffer(DEVICE_CONTEXT.bytes));
  const set = (field: Field, value: number): void => field.write(image, 0, value);
  for (const field of [fields.valid, fields.pdtv, fields.dpe, fields.sade, fields.gade]) set(field, 1);
  for (const field of BITS_OF_MODEL[faultModel]) set(field, 1);
  if (secondStage !== null) {
    set(fields.iohgatpPpnLow, secondStage.root / PAGE_BYTES);
    set(fields.gscid, secondStage.gscid);
    set(fields.iohgatpMode, SV39X4);
  }
  set(fields.fscPpnLow, processDirectory / PAGE_BYTES);
  set(fields.fscMode, FscMode.pd20);
  return image;
}
