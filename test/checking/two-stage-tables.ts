/**
 * Translation tables in a tiny memory, of every kind that a walk can meet: directories of one to three levels,
 * processes and none, one stage and two. Good as built; a test inverts bits of them.
 */
import { pte, type TestMachine } from '../hw/iommu/machine.js';

/** Where each table is. The second stage maps the pages of memory onto themselves. */
export const PAGE = {
  device: 0,
  process8: 1,
  device3: 2,
  device2: 3,
  secondRoot: 4,
  secondMiddle: 8,
  secondLow: 9,
  firstRoot: 10,
  firstMiddle: 11,
  firstLow: 12,
  otherRoot: 13,
  process20: 14,
  process17: 15,
} as const;

/** Name of a table. */
export type Place = keyof typeof PAGE;

/** Slots of 8 bytes that the walks below pass through, by table. */
export const SLOTS: Readonly<Record<Place, readonly number[]>> = {
  device: [0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15],
  device2: [0],
  device3: [0],
  process8: [0, 1, 2, 3, 4, 5],
  process17: [0],
  process20: [0],
  secondRoot: [0, 1],
  secondMiddle: [0, 1],
  secondLow: [1, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22],
  firstRoot: [0, 1, 511],
  firstMiddle: [0, 1],
  firstLow: [0, 1, 2, 3],
  otherRoot: [0, 1],
};

/** Values of `ddtp`: mode and root of the same devices, found in one, two and three levels. */
export const DIRECTORIES = [
  { mode: 2, page: PAGE.device },
  { mode: 3, page: PAGE.device2 },
  { mode: 4, page: PAGE.device3 },
] as const;

/** Exclusive end of the tables, and first page of data. */
export const DATA_PAGE = 20;
const MEMORY_PAGES = 64;
/** N: the entry is one of 16 for the pages from 16 on; in place of the page's low bits stands the size. */
const CONTIGUOUS = 1n << 63n;
const RANGE_MARK = 16 + 8;
const SV39 = 8n << 60n;
/** Bits of the first dword of a device context. */
const CONTROL = { v: 1n, ats: 2n, pri: 4n, pdtv: 32n, gade: 128n, sade: 256n, dpe: 512n } as const;

/**
 * Devices 0 (processes of 8 bits, two stages, process 0 by default), 1 (no processes, two stages), 2 (17 bits, one
 * stage) and 3 (20 bits, two stages). Process 0 and 1 have different roots; 2 translates nothing.
 */
export function buildTables(machine: TestMachine): void {
  const { v, ats, pri, gade, sade, pdtv, dpe } = CONTROL;
  const flags = v | ats | pri | gade | sade;
  const second = SV39 | BigInt(PAGE.secondRoot);
  const processes = (mode: number, page: number): bigint => (BigInt(mode) << 60n) | BigInt(page);
  machine.put(PAGE.device3, 0, pte(PAGE.device2, 'v'));
  machine.put(PAGE.device2, 0, pte(PAGE.device, 'v'));
  machine.put(PAGE.device, 0, flags | pdtv | dpe, second, 0n, processes(1, PAGE.process8));
  machine.put(PAGE.device, 4, flags, second, 0n, SV39 | BigInt(PAGE.firstRoot));
  machine.put(PAGE.device, 8, flags | pdtv, 0n, 0n, processes(2, PAGE.process17));
  machine.put(PAGE.device, 12, flags | pdtv, second, 0n, processes(3, PAGE.process20));
  machine.put(PAGE.process20, 0, pte(PAGE.process17, 'v'));
  machine.put(PAGE.process17, 0, pte(PAGE.process8, 'v'));
  machine.put(PAGE.process8, 0, 7n, SV39 | BigInt(PAGE.otherRoot), 3n, SV39 | BigInt(PAGE.firstRoot), 1n, 0n);
  buildStages(machine);
}

function buildStages(machine: TestMachine): void {
  machine.put(PAGE.secondRoot, 0, pte(PAGE.secondMiddle, 'v'), pte(0, 'vrwxuad'));
  machine.put(PAGE.secondMiddle, 0, pte(PAGE.secondLow, 'v'), pte(0, 'vrwxua'));
  for (let page = 0; page < MEMORY_PAGES; page++) machine.put(PAGE.secondLow, page, pte(page, 'vrwxuad'));
  machine.put(PAGE.firstRoot, 0, pte(PAGE.firstMiddle, 'v'), pte(0, 'vrwuad'));
  machine.put(PAGE.firstRoot, 511, pte(0, 'vrwxuad'));
  machine.put(PAGE.otherRoot, 0, pte(PAGE.firstMiddle, 'vg'), pte(0, 'vrxa'));
  machine.put(PAGE.firstMiddle, 0, pte(PAGE.firstLow, 'v'), pte(0, 'vrwxua'));
  machine.put(PAGE.firstLow, 0, pte(DATA_PAGE, 'vrwuad'), pte(DATA_PAGE + 1, 'vrwxad'));
  machine.put(PAGE.firstLow, 2, pte(DATA_PAGE + 2, 'vrxua'), pte(RANGE_MARK, 'vruga') | CONTIGUOUS);
}
