/**
 * Which commands an invalidation takes. Its cost is bounded: up to INVALIDATION_PAGES_MAX pages are named, above
 * that the whole address space goes (hazard S24). The IOMMU's own caches come first: a device that asks again after
 * dropping its entry must not be given the old translation a second time.
 */
import { limits } from '../../base/limits.js';
import { PAGE_BYTES, pagesFor } from '../../base/units.js';
import { type Command, invalidateAtc, invalidateTranslations, invalidateWholeAtc } from './commands.js';
import type { BoundDevice, Invalidation } from './control.js';

type Range = NonNullable<Invalidation['range']>;

/** The commands, in order, without the closing fence. */
export function invalidationCommands({ pscid, gscid, devices, range }: Invalidation): Command[] {
  const commands: Command[] = [];
  const named = range !== undefined && pagesFor(range.bytes) <= limits.INVALIDATION_PAGES_MAX ? range : null;
  if (named === null) commands.push(invalidateTranslations(pscid, gscid));
  else for (const va of pagesOf(named)) commands.push(invalidateTranslations(pscid, gscid, va));
  for (const device of devices) commands.push(...atcCommands(device, named));
  return commands;
}

function* pagesOf({ va, bytes }: Range): Generator<number> {
  for (let page = va; page < va + bytes; page += PAGE_BYTES) yield page;
}

function atcCommands({ deviceId, pasid }: BoundDevice, range: Range | null): Command[] {
  if (range === null) return [invalidateWholeAtc(deviceId, pasid)];
  return [...blocksOf(range)].map(({ va, bytes }) => invalidateAtc(deviceId, pasid, va, bytes));
}

/** The range as naturally aligned powers of two of pages, the only shapes that the message can name. */
export function* blocksOf({ va, bytes }: Range): Generator<Range> {
  let at = va;
  let left = bytes;
  while (left > 0) {
    let block = PAGE_BYTES;
    while (block * 2 <= left && at % (block * 2) === 0) block *= 2;
    yield { va: at, bytes: block };
    at += block;
    left -= block;
  }
}
