/**
 * What a process can read about itself under /proc/self: for reports and monitors. `Pasid` lists the PASIDs of its
 * open queues, one unless an address space has different ones on different devices.
 */
import { type Directory, directory } from './path-tree.js';
import type { Process } from './process.js';

export function processFiles(process: Process): Directory {
  return directory({ self: directory({ status: { kind: 'file', read: () => status(process) } }) });
}

function status({ pid, queues }: Process): string {
  const pasids = new Set([...queues].map(({ pasid }) => pasid).filter((pasid) => pasid >= 0));
  const lines = [`Pid:\t${pid}`, `Queues:\t${queues.size}`];
  if (pasids.size > 0) lines.push(`Pasid:\t${[...pasids].join(' ')}`);
  return `${lines.join('\n')}\n`;
}
