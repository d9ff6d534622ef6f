/**
 * The memory half of a context switch on the IOMMU: the device context of the instance names one domain's second stage
 * and process directory at a time (RISC-V IOMMU specification, "Device-directory-table"). Between two domains it is
 * invalid, no cache holds anything of the old one, and page requests of the old one have been handled (R37).
 */
import { assert } from '../base/assert.js';
import type { IommuControl } from '../hw/iommu-driver/control.js';
import type { MemorySwitch } from './context-switch.js';
import type { Vcoproc } from './vcoproc.js';

export class IommuMemorySwitch implements MemorySwitch {
  readonly #iommu: IommuControl;

  constructor(iommu: IommuControl) {
    this.#iommu = iommu;
  }

  enter({ deviceId, memory }: Vcoproc, done: () => void): void {
    assert(memory !== null, 'a domain has given its address spaces before its vcoproc is loaded');
    this.#iommu.setDeviceContext(deviceId, memory, done);
  }

  leave({ deviceId }: Vcoproc, done: () => void): void {
    this.#iommu.clearDeviceContext(deviceId, () => {
      this.#iommu.invalidateDevice(deviceId, () => {
        this.#iommu.drainPageRequests();
        done();
      });
    });
  }
}
