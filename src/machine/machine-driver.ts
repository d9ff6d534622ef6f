/**
 * A driver module as the machine needs it: its device and its kernel driver. The user driver is the library's.
 */
import type { DriverModule } from '../base/define-driver.js';
import type { DeviceDescription } from '../hw/device-model.js';
import type { KernelDriver } from '../kernel/kernel-driver.js';

/** A driver module, typed by what a machine does with it. */
export type MachineDriver = DriverModule<DeviceDescription, KernelDriver>;
