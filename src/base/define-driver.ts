/**
 * Declares a driver module: what hardware it models, how the kernel drives it, and how user space talks to it. A
 * pure function; the three parts are typed by the doors that their authors import (src/driver-api.ts and
 * lib/driver-api.ts).
 */

/** The default export of a driver's index.ts. */
export interface DriverModule<Device = unknown, KernelDriver = unknown, UserDriver = unknown> {
  /** Kind of device, lower case: `zip`. Instances are called `zip0`, `zip1`. */
  readonly name: string;
  /** The hardware: registers, SQE size, and how to power one on. */
  readonly device: Device;
  /** How it is announced, probed and reset. */
  readonly kernelDriver: KernelDriver;
  /** Loads the user driver; lazy, so that engine and kernel threads never load it. */
  readonly userDriver: () => Promise<UserDriver>;
}

/** Checks a module's shape and answers it unchanged. Throws TypeError naming what is missing. */
export function defineDriver<Module extends DriverModule>(module: Module): Module {
  const wrong = (what: string): never => {
    throw new TypeError(`defineDriver: ${what}`);
  };
  if (typeof module !== 'object' || module === null) wrong('the driver must be an object');
  if (!/^[a-z][a-z0-9_]*$/.test(String(module.name))) {
    wrong(
      `"name" must be lower-case letters, digits and _, starting with a letter, not ${String(module.name)}`,
    );
  }
  for (const part of ['device', 'kernelDriver'] as const) {
    if (typeof module[part] !== 'object' || module[part] === null)
      wrong(`"${part}" of ${module.name} must be an object`);
  }
  if (typeof module.userDriver !== 'function')
    wrong(`"userDriver" of ${module.name} must be a function that loads it`);
  return module;
}
