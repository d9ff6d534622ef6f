/**
 * The compression accelerator as a driver module.
 */
import { defineDriver } from '../../src/driver-api.js';
import { zipDevice } from './device.js';
import { zipKernelDriver } from './kernel-driver.js';

export default defineDriver({
  name: 'zip',
  device: zipDevice,
  kernelDriver: zipKernelDriver,
  userDriver: async () => (await import('./user-driver.js')).zipUserDriver,
});
