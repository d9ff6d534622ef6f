/** What memory costs the machine: commands of an unmap, and the pace of the inline host when every translation is checked. */
import copy from '../../../drivers/copy/index.js';
import { limits } from '../../../src/base/limits.js';
import { PAGE_BYTES } from '../../../src/base/units.js';
import { type IommuRegisterFile, REGISTERS } from '../../../src/hw/iommu/registers.js';
import { InlineMachine } from '../../../src/machine/inline/inline-machine.js';
import { eventsPerSecond } from '../../checking/events-per-second.js';
import { CopyQueue, call } from '../../stress/copy-queue.js';
import type { BenchCase } from '../case.js';
import { figureRow, valueAtLeast, valueAtMost } from '../own-figure.js';

const PAGES = 1000;
/** Besides the invalidations of pages: the aligned blocks that a range consists of, for the one device, and the fence. */
const FEW_COMMANDS = 2 * Math.log2(limits.INVALIDATION_PAGES_MAX) + 1;
const EVENTS = 100_000;

/** Commands that the IOMMU is sent while `pages` pages, which a device has accessed, are unmapped. */
async function commandsOfUnmap(pages: number): Promise<number> {
  let registers: IommuRegisterFile | undefined;
  const machine = InlineMachine.create({
    drivers: [copy],
    checkTranslations: (of) => {
      registers = of.registers;
      return () => {};
    },
  })._unsafeUnwrap();
  const platform = machine.createProcess()._unsafeUnwrap();
  const queue = await CopyQueue.open(platform, '/dev/wd_copy-0');
  const bytes = pages * PAGE_BYTES;
  const { ret: address } = await call(platform, { call: 'mmapAnonymous', kind: 'demand', bytes });
  const { status } = await queue.request({ operation: 'fill', destination: address, bytes, pattern: 1 });
  if (status !== 0) throw new Error(`the pages were not filled: status ${status}`);
  machine.runUntilIdle();
  const before = registers!.read32(REGISTERS.cqt.at);
  await call(platform, { call: 'munmap', address, bytes });
  machine.runUntilIdle();
  const entries = limits.IOMMU_QUEUE_ENTRIES;
  return (registers!.read32(REGISTERS.cqt.at) - before + entries) % entries;
}

const unmapCase: BenchCase = {
  group: 'unmap-commands',
  title: 'commands that the IOMMU is sent for an unmap of 1,000 pages',
  limitedBy: 'Pages are named one by one up to a limit; beyond it the whole address space is invalidated.',
  rows: async () => {
    const { INVALIDATION_PAGES_MAX: most } = limits;
    const target = valueAtMost(most + FEW_COMMANDS);
    const row = async (pages: number, note: string) =>
      figureRow({
        name: `unmap-commands/${pages}`,
        unit: 'commands',
        samples: [await commandsOfUnmap(pages)],
        target,
        note,
      });
    return [
      await row(PAGES, 'a number, not a time: the whole address space is named at once'),
      await row(most, 'the most pages that are named one by one'),
    ];
  },
};

const checkedCase: BenchCase = {
  group: 'checked-events',
  title: 'events of the inline host in a second, each cached translation compared with a walk',
  limitedBy: 'The walk that each cached translation is compared with.',
  rows: async ({ rounds }) => {
    const samples: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const { confirmed, eventsPerSecond: rate } = await eventsPerSecond({ events: EVENTS, checked: true });
      if (confirmed === 0) throw new Error('nothing was compared');
      samples.push(rate);
    }
    const note = 'bursts of 32 copies of 64 bytes';
    return [
      figureRow({
        name: 'checked-events/rate',
        unit: 'events/s',
        samples,
        target: valueAtLeast(100_000),
        note,
      }),
    ];
  },
};

/** Memory of whole machines. */
export const memoryCases: readonly BenchCase[] = [unmapCase, checkedCase];
