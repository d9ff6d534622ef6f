/**
 * The kernel's names: directories, attribute files and character devices, built anew for each look-up from what is
 * there now.
 */
import type { UacceDevice } from './uacce-device.js';

export interface Directory {
  readonly kind: 'directory';
  readonly entries: ReadonlyMap<string, PathNode>;
}

export interface AttributeFile {
  readonly kind: 'file';
  /** The content, ending in a newline. */
  read(): string;
  /** Absent: read-only. Answers 0 or a negated errno. */
  write?(text: string): number;
}

export interface DeviceNode {
  readonly kind: 'device';
  readonly device: UacceDevice;
}

export type PathNode = Directory | AttributeFile | DeviceNode;

/** A directory of `entries`. */
export function directory(
  entries: Readonly<Record<string, PathNode>> | Iterable<[string, PathNode]>,
): Directory {
  const pairs = Symbol.iterator in entries ? entries : Object.entries(entries);
  return { kind: 'directory', entries: new Map(pairs as Iterable<[string, PathNode]>) };
}

/** What an absolute `path` names, or null. Empty components count as one slash; there is no `.` or `..`. */
export function lookUp(root: Directory, path: string): PathNode | null {
  if (!path.startsWith('/')) return null;
  let node: PathNode = root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const next: PathNode | undefined = node.kind === 'directory' ? node.entries.get(name) : undefined;
    if (next === undefined) return null;
    node = next;
  }
  return node;
}
