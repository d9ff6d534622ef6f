/**
 * Attributes of a uacce device, `/sys/class/uacce/NAME-ID/`. An attribute that the driver cannot back is absent, and
 * so is a region of no bytes; every other one always answers (hazard U4).
 */
import { errno } from '../uapi/errno.js';
import { UACCE_DEV_SVA } from '../uapi/ioctl.js';
import { QUEUE_MMIO_BYTES } from '../uapi/queue-layout.js';
import type { Isolation } from './isolation.js';
import { type AttributeFile, type Directory, directory, type PathNode } from './path-tree.js';
import type { UacceDevice } from './uacce-device.js';

/** The directory of one device. */
export function deviceAttributes(device: UacceDevice): Directory {
  const { driver, queueNumbers } = device.options;
  const entries: Record<string, PathNode> = {
    api: readOnly(() => driver.api),
    flags: readOnly(() => (driver.sva ? UACCE_DEV_SVA : 0)),
    available_instances: readOnly(() => queueNumbers.free),
    algorithms: readOnly(() => driver.algorithms.join('\n')),
    region_mmio_size: readOnly(() => QUEUE_MMIO_BYTES),
    region_dus_size: readOnly(() => device.shape.bytes),
    // One memory, one node.
    device: directory({ numa_node: readOnly(() => 0) }),
  };
  if (device.isolation !== null) Object.assign(entries, isolationAttributes(device.isolation));
  return directory(entries);
}

function isolationAttributes(isolation: Isolation): Record<string, PathNode> {
  return {
    isolate: readOnly(() => (isolation.isolated ? 1 : 0)),
    isolate_strategy: {
      ...readOnly(() => isolation.threshold),
      write: (text) => {
        const threshold = parseNumber(text);
        return threshold === null ? -errno.EINVAL : isolation.setThreshold(threshold);
      },
    },
  };
}

function readOnly(content: () => string | number): AttributeFile {
  return { kind: 'file', read: () => `${content()}\n` };
}

/** A number as the kernel reads one: decimal or 0x, with at most a newline after it. Null = none. */
function parseNumber(text: string): number | null {
  return /^(0x[0-9a-f]{1,8}|\d{1,10})\n?$/i.test(text) ? Number(text) : null;
}
