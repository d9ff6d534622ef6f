/**
 * The workload behind the table of docs/fault-models.md: the same requests to pages in five conditions, on a machine for
 * each fault model, with what that took.
 */
import copy from '../../drivers/copy/index.js';
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import { FAULT_MODELS, type FaultModel } from '../../src/hw/fault-model.js';
import { type IommuRegisterFile, REGISTERS } from '../../src/hw/iommu/registers.js';
import { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import type { Platform, SyscallRequest } from '../../src/uapi/syscall.js';
import { table } from '../machine/page-parts.js';
import { CopyQueue, call } from '../stress/copy-queue.js';

/** Requests for each condition, one page each. */
const REQUESTS = 8;
const BYTES = REQUESTS * PAGE_BYTES;

/** A condition that pages can be in, and how they get there from one that was never touched. */
interface Condition {
  readonly name: string;
  readonly make: (platform: Platform, address: number) => Promise<void>;
}

const touch = async (platform: Platform, address: number): Promise<void> => {
  await platform.store(address, new Uint8Array(BYTES).fill(1));
};
const afterTouch =
  (request: (range: { address: number; bytes: number }) => SyscallRequest): Condition['make'] =>
  async (platform, address) => {
    await touch(platform, address);
    await call(platform, request({ address, bytes: BYTES }));
  };

const CONDITIONS: readonly Condition[] = [
  { name: 'prefaulted', make: touch },
  { name: 'untouched', make: async () => {} },
  { name: 'swapped out', make: afterTouch((range) => ({ call: 'pageOut', ...range })) },
  { name: 'read-only', make: afterTouch((range) => ({ call: 'mprotect', ...range, protection: 'read' })) },
  { name: 'unmapped', make: afterTouch((range) => ({ call: 'munmap', ...range })) },
];

const HEAD = [
  'pages',
  'fault model',
  'ok',
  'failed',
  'page requests',
  'stalls',
  'fault records',
  'virtual time, ns',
];

/** The table, in Markdown. */
export async function faultModelTable(): Promise<string> {
  const rows: string[][] = [];
  for (const condition of CONDITIONS) {
    for (const faultModel of FAULT_MODELS) rows.push(await rowOf(condition, faultModel));
  }
  return table([HEAD, ...rows]);
}

async function rowOf({ name, make }: Condition, faultModel: FaultModel): Promise<string[]> {
  let registers: IommuRegisterFile | undefined;
  const machine = InlineMachine.create({
    drivers: [copy],
    instances: [{ id: 'copy0', driver: 'copy', faultModel }],
    memoryBytes: 32 * MiB,
    // Nothing is judged here: the factory is told where the registers are, which count the records.
    checkTranslations: (of) => {
      registers = of.registers;
      return () => {};
    },
  })._unsafeUnwrap();
  const platform = machine.createProcess()._unsafeUnwrap();
  const queue = await CopyQueue.open(platform, '/dev/wd_copy-0');
  const { ret: address } = await call(platform, { call: 'mmapAnonymous', kind: 'demand', bytes: BYTES });
  await make(platform, address);
  machine.runUntilIdle();
  const startNs = machine.nowNs;
  const recordsBefore = registers!.read32(REGISTERS.fqt.at);
  const linesBefore = machine.trace().length;
  const outcomes = await Promise.all(
    Array.from({ length: REQUESTS }, (_, index) =>
      queue.request({
        operation: 'fill',
        destination: address + index * PAGE_BYTES,
        bytes: PAGE_BYTES,
        pattern: 7,
      }),
    ),
  );
  const endNs = machine.nowNs;
  const lines = machine.trace().slice(linesBefore);
  const count = (point: string): number => lines.filter((line) => line.includes(` ${point} `)).length;
  const ok = outcomes.filter(({ status }) => status === 0).length;
  const stalls = count('access stalled');
  // A stalled access leaves a record in the fault queue, which is none of a fault.
  const records = registers!.read32(REGISTERS.fqt.at) - recordsBefore - stalls;
  const counts = [ok, REQUESTS - ok, count('page requested'), stalls, records];
  const elapsed = Math.round(endNs - startNs).toLocaleString('en-US');
  return [name, `\`${faultModel}\``, ...counts.map(String), elapsed];
}
