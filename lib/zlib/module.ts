/**
 * The module in place of node:zlib: exactly Node's own keys, with the functions and classes that a device can take over
 * in place of Node's, and everything else as it is.
 */
import node from 'node:zlib';
import { callOf } from './calls.js';
import { classOf, creatorOf } from './classes.js';
import { KINDS } from './kinds.js';
import type { ZlibModule } from './names.js';
import type { SharedPool } from './shared-pool.js';

/** The module on `shared`. */
export function zlibOn(shared: SharedPool): ZlibModule {
  const members = Object.getOwnPropertyDescriptors(node) as Record<string, PropertyDescriptor>;
  const replace = (name: string, value: unknown): void => {
    members[name] = { ...members[name], value };
  };
  for (const kind of KINDS) {
    const ctor = classOf(kind, shared);
    replace(kind.call, callOf(kind, shared));
    replace(kind.stream, ctor);
    replace(`create${kind.stream}`, creatorOf(kind, ctor));
  }
  return Object.create(Object.getPrototypeOf(node) as object, members) as ZlibModule;
}
