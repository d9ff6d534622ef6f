// Can software that knows only the hardware's own 64-bit doorbell drive a queue, where a store is an event?
import { describe, expect, test } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { doorbellCommand, HARDWARE_DOORBELL_OFFSET, hardwareDoorbell } from '../../src/uapi/queue-layout.js';
import { copyOutcome, copySqeOf } from './copy-requests.js';
import { MockProcess, newMachine, type RingMock, viewOf } from './ring-mock.js';

const field = hardwareDoorbell.fields;

async function opened(): Promise<{ process: MockProcess; queue: RingMock }> {
  const process = new MockProcess(newMachine({ drivers: [copy] }));
  return { process, queue: await process.queue() };
}

/** One 64-bit store, as existing user drivers make it. */
async function store(
  queue: RingMock,
  value: { sqn?: number; command: number; index: number; priority?: number },
) {
  const bytes = new Uint8Array(hardwareDoorbell.bytes);
  field.sqNumber.write(viewOf(bytes), 0, value.sqn ?? queue.number);
  field.command.write(viewOf(bytes), 0, value.command);
  field.index.write(viewOf(bytes), 0, value.index);
  field.priority.write(viewOf(bytes), 0, value.priority ?? 0);
  await queue.process.write(queue.mmioAddress + HARDWARE_DOORBELL_OFFSET, bytes);
  queue.process.machine.runUntilIdle();
}

describe('the doorbell at region offset 0x1000', () => {
  test('takes the new tail as an index, over several passes of the ring', async () => {
    const { queue } = await opened();
    const { sqDepth } = queue.shape;
    for (let sent = 0; sent < sqDepth * 3; sent += 100) {
      for (let n = 0; n < 100; n++) queue.place(copySqeOf({ tag: sent + n }));
      await store(queue, { command: doorbellCommand.SQ, index: (sent + 100) % sqDepth });
      const tags = queue.completions().map(({ sqe }) => copyOutcome(sqe).tag);
      expect(tags).toEqual(Array.from({ length: 100 }, (_, n) => sent + n));
      await store(queue, { command: doorbellCommand.CQ, index: (sent + 100) % sqDepth });
    }
  });

  test('asks for an interrupt with the next completion when the CQ store has priority', async () => {
    const { queue } = await opened();
    await store(queue, { command: doorbellCommand.CQ, index: 0, priority: 1 });
    queue.place(copySqeOf({}));
    await store(queue, { command: doorbellCommand.SQ, index: 1 });
    expect(queue.interrupts).toBe(1);
  });

  test.each([
    ['the number of another queue', { sqn: 7, command: doorbellCommand.SQ, index: 1 }],
    ['an index beyond the ring', { command: doorbellCommand.SQ, index: 1024 }],
    ['an unknown command', { command: 2, index: 1 }],
  ])('ignores %s', async (_what, value) => {
    const { queue } = await opened();
    queue.place(copySqeOf({}));
    await store(queue, value);
    expect(queue.completions()).toEqual([]);
  });
});
