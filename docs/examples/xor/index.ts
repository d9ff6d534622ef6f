/** The XOR accelerator as a driver module: device, kernel driver, and the way to the user driver. */
import { defineDriver, limits } from 'warpdrive/driver';
import { xorDevice } from './device.js';

export default defineDriver({
  name: 'xor',
  device: xorDevice,
  kernelDriver: {
    deviceName: 'example_xor',
    api: 'example_xor_v1',
    algorithms: ['xor'],
    queues: 16,
    sqDepth: limits.QUEUE_DEPTH,
    cqDepth: limits.QUEUE_DEPTH,
    sva: true,
  },
  userDriver: async () => (await import('./user-driver.js')).xorUserDriver,
});
