/**
 * All uacce devices of the machine, by name. Ids are unique over all kinds and never used again, so a name that was
 * removed keeps answering ENODEV and never means another device.
 */
import { errno } from '../uapi/errno.js';
import type { BuiltDevice } from './device-setup.js';
import { sameDomain } from './memory-domain.js';
import { type Directory, directory, lookUp, type PathNode } from './path-tree.js';
import type { Process } from './process.js';
import { processFiles } from './procfs.js';
import { deviceAttributes } from './sysfs.js';

export class DeviceTable {
  readonly #devices = new Map<string, BuiltDevice>();
  readonly #removedNames = new Set<string>();
  #nextId = 0;

  /** A name for a new device of the kind `deviceName`. */
  newName(deviceName: string): string {
    return `${deviceName}-${this.#nextId++}`;
  }

  add(built: BuiltDevice): void {
    this.#devices.set(built.device.name, built);
  }

  get(name: string): BuiltDevice | null {
    return this.#devices.get(name) ?? null;
  }

  /** Hides the device: from now on its path answers ENODEV. */
  remove(name: string): BuiltDevice | null {
    const built = this.get(name);
    if (built === null) return null;
    this.#devices.delete(name);
    this.#removedNames.add(name);
    return built;
  }

  /** What `path` names for `process`, or -ENODEV for a removed device, or -ENOENT. */
  find(process: Process, path: string): PathNode | number {
    const node = lookUp(this.#root(process), path);
    if (node !== null) return node;
    const name = path.startsWith('/dev/') ? path.slice('/dev/'.length) : '';
    return this.#removedNames.has(name) ? -errno.ENODEV : -errno.ENOENT;
  }

  /** Devices of another domain do not exist for the process. */
  #root(process: Process): Directory {
    const { domain } = process.frames;
    const visible = [...this.#devices].filter(([, { device }]) => sameDomain(device.options.domain, domain));
    const nodes = visible.map(([name, { device }]): [string, PathNode] => [name, { kind: 'device', device }]);
    const attributes = visible.map(([name, { device }]): [string, PathNode] => [
      name,
      deviceAttributes(device),
    ]);
    const sysfs = directory({ class: directory({ uacce: directory(attributes) }) });
    return directory({ dev: directory(nodes), proc: processFiles(process), sys: sysfs });
  }
}
