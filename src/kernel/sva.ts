/**
 * Shared virtual addressing: binds address spaces to devices, so that a device under a PASID walks the process's own
 * tables. One binding for each (address space, device), with a reference for each bind.
 *
 * The last unbind is a single transition (hazard S3): the PASID stops naming the address space at once, then process
 * context and translations are invalidated, then page requests still queued are answered, and only then is the
 * number free again (S9, S10).
 */
import { assert } from '../base/assert.js';
import type { IommuControl } from '../hw/iommu-driver/control.js';
import type { ProcessDirectory } from '../hw/iommu-driver/process-directory.js';
import { errno } from '../uapi/errno.js';
import type { AddressSpace } from './address-space.js';
import type { PasidAllocator } from './pasid.js';

interface Binding {
  readonly space: AddressSpace;
  readonly directory: ProcessDirectory;
  readonly pasid: number;
  references: number;
}

export interface SvaOptions {
  readonly iommu: IommuControl;
  readonly pasids: PasidAllocator;
}

export class Sva {
  readonly #iommu: IommuControl;
  readonly #pasids: PasidAllocator;
  /** By device, then PASID. */
  readonly #bindings = new Map<number, Map<number, Binding>>();
  /**
   * Calls `done` when no page fault of a (device, PASID) that has ended is being handled any more, and forgets what was
   * never completed. Set by whoever handles them.
   */
  drainFaults: (deviceId: number, pasid: number, done: () => void) => void = (_deviceId, _pasid, done) =>
    done();

  constructor({ iommu, pasids }: SvaOptions) {
    this.#iommu = iommu;
    this.#pasids = pasids;
  }

  /** Binds `space` to the device of `directory`: the PASID, or -ENOSPC or -ENOMEM. */
  bind(space: AddressSpace, directory: ProcessDirectory): number {
    const known = this.#bindingOf(space, directory.deviceId);
    if (known !== null) {
      known.references += 1;
      return known.pasid;
    }
    const pasid = this.#pasids.take(space, directory.deviceId);
    if (pasid === null) return -errno.ENOSPC;
    if (!directory.set(pasid, { root: space.root, pscid: space.pscid })) {
      this.#pasids.give(space, directory.deviceId, pasid);
      return -errno.ENOMEM;
    }
    this.#deviceBindings(directory.deviceId).set(pasid, { space, directory, pasid, references: 1 });
    space.bindDevice({ deviceId: directory.deviceId, pasid });
    return pasid;
  }

  /** Drops one reference; `done` at once unless it was the last, then when the PASID may be used again. */
  unbind(space: AddressSpace, deviceId: number, done: () => void): void {
    const binding = this.#bindingOf(space, deviceId);
    assert(binding !== null, 'an address space is unbound as often as it was bound');
    binding.references -= 1;
    if (binding.references > 0) {
      done();
      return;
    }
    const { pasid, directory } = binding;
    this.#deviceBindings(deviceId).delete(pasid);
    space.unbindDevice(deviceId);
    directory.clear(pasid);
    const device = { deviceId, pasid };
    const { pscid, gscid } = space;
    this.#iommu.invalidateProcess({ pscid, gscid, devices: [device], device }, () => {
      this.#iommu.drainPageRequests();
      const free = (): void => {
        this.#pasids.give(space, deviceId, pasid);
        done();
      };
      // Bound anew meanwhile, by the same address space: the faults there may be of the new binding.
      if (this.find(deviceId, pasid) === null) this.drainFaults(deviceId, pasid, free);
      else free();
    });
  }

  /** The address space that `pasid` names on the device now, or null. */
  find(deviceId: number, pasid: number): AddressSpace | null {
    return this.#bindings.get(deviceId)?.get(pasid)?.space ?? null;
  }

  /** Bindings that are live now. */
  get bindingCount(): number {
    let count = 0;
    for (const bindings of this.#bindings.values()) count += bindings.size;
    return count;
  }

  #bindingOf(space: AddressSpace, deviceId: number): Binding | null {
    const pasid = space.pasidOn(deviceId);
    return pasid < 0 ? null : (this.#bindings.get(deviceId)?.get(pasid) ?? null);
  }

  #deviceBindings(deviceId: number): Map<number, Binding> {
    const known = this.#bindings.get(deviceId);
    if (known !== undefined) return known;
    const fresh = new Map<number, Binding>();
    this.#bindings.set(deviceId, fresh);
    return fresh;
  }
}
