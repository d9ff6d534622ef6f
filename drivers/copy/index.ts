/**
 * The copy accelerator as a driver module.
 */
import { defineDriver } from '../../src/driver-api.js';
import { copyDevice } from './device.js';
import { copyKernelDriver } from './kernel-driver.js';

export default defineDriver({
  name: 'copy',
  device: copyDevice,
  kernelDriver: copyKernelDriver,
  userDriver: async () => (await import('./user-driver.js')).copyUserDriver,
});
