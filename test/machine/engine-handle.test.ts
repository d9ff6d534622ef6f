// Does the kernel thread keep its count of engine threads right: who has ended, who is meant, and what is still owed?
import { afterEach, describe, expect, test } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type { QueueBinding } from '../../src/hw/coproc-port.js';
import { MachineWords } from '../../src/machine/machine-words.js';
import { EngineHandle } from '../../src/machine/threaded/engine-handle.js';
import { errno } from '../../src/uapi/errno.js';

const TIMEOUT_NS = 1000;

function bindingOf(queueNumber: number): QueueBinding {
  return {
    queueNumber,
    pasid: 1,
    qcType: 0,
    epoch: queueNumber,
    mmioAddress: 0,
    contextAddress: 0,
    ringAddress: 0,
    sqDepth: 8,
    cqDepth: 8,
    waiter: 0,
    process: 1,
    weight: 1,
  };
}

/** A handle whose threads are stubs, and everything that it says, in order. */
class HandleBench {
  readonly clock = new VirtualClock();
  readonly log: string[] = [];
  readonly handle: EngineHandle;

  constructor(stub: 'works' | 'fails' | 'deaf') {
    const words = new MachineWords();
    this.handle = new EngineHandle({
      instance: 'stub0',
      deviceId: 0,
      faultModel: 'pageRequests',
      description: copy.device,
      driverUrl: stub,
      workerUrl: new URL('./fixtures/engine-stub.mjs', import.meta.url).href,
      memory: new SharedArrayBuffer(8),
      words,
      clock: this.clock,
      answerTimeoutNs: TIMEOUT_NS,
      served: (_binding, incarnation, port) =>
        this.log.push(`served by ${incarnation}${port === null ? '' : ', new port'}`),
      started: () => this.log.push('started'),
      ended: () => this.log.push('ended'),
    });
    this.handle.onIrq(({ kind }) => this.log.push(kind));
  }

  /** A call whose answer goes to the log. */
  done(name: string): (result: number) => void {
    return (result) => this.log.push(`${name} ${result}`);
  }

  /** Looks at the thread until `line` has been said `times` times. */
  async until(line: string, times = 1): Promise<void> {
    while (this.log.filter((said) => said === line).length < times) {
      this.handle.drain();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async attach(queueNumber: number): Promise<void> {
    this.handle.attachQueue(1, bindingOf(queueNumber), this.done(`attach ${queueNumber}`));
    await this.until(`attach ${queueNumber} 0`);
  }
}

let bench: HandleBench;
afterEach(() => bench.handle.shutdown());

describe('a thread that does not answer', () => {
  test('is ended after the bound; what it owes is answered when it has exited, not before', async () => {
    bench = new HandleBench('deaf');
    const { handle, log, clock } = bench;
    handle.attachQueue(1, bindingOf(1), bench.done('attach'));
    await bench.until('started');
    handle.detachQueue(1, bench.done('detach'));
    clock.step();
    expect(clock.nowNs()).toBe(TIMEOUT_NS);
    handle.detachQueue(2, bench.done('late detach'));
    expect(log).toEqual(['started', 'served by 1, new port']);
    expect(handle.expectsEvent).toBe(true);
    await bench.until('ended');
    expect(log.slice(2)).toEqual(['ended', 'reset', `attach ${-errno.EIO}`, 'detach 0', 'late detach 0']);
    expect(handle.expectsEvent).toBe(false);
    expect(clock.step()).toBe(false);
  });

  test('is started again by the next call; one that waited for its end came too late for its contexts', async () => {
    bench = new HandleBench('deaf');
    const { handle, log } = bench;
    handle.attachQueue(1, bindingOf(1), bench.done('attach'));
    await bench.until('started');
    handle.forceReset('for a test');
    handle.attachQueue(1, bindingOf(2), bench.done('late attach'));
    await bench.until(`late attach ${-errno.EIO}`);
    handle.attachQueue(2, bindingOf(2), bench.done('attach'));
    await bench.until('started', 2);
    expect(log).toContain('served by 2, new port');
  });
});

describe('news of a port that closed', () => {
  test('ends the thread that it was about', async () => {
    bench = new HandleBench('works');
    await bench.attach(1);
    bench.handle.portClosed(1);
    await bench.until('reset');
  });

  test('means nothing when a later thread serves by now, or when none does', async () => {
    bench = new HandleBench('works');
    const { handle, log } = bench;
    await bench.attach(1);
    handle.forceReset('for a test');
    await bench.until('reset');
    handle.portClosed(1);
    expect(handle.expectsEvent).toBe(false);
    await bench.attach(2);
    handle.portClosed(1);
    expect(handle.expectsEvent).toBe(false);
    await bench.attach(3);
    expect(log.filter((line) => line === 'ended').length).toBe(1);
    expect(log.filter((line) => line.startsWith('served'))).toEqual([
      'served by 1, new port',
      'served by 2, new port',
      'served by 2',
    ]);
  });
});

test('a thread is not asked for a queue that its predecessor served', async () => {
  bench = new HandleBench('works');
  await bench.attach(1);
  bench.handle.forceReset('for a test');
  await bench.until('reset');
  await bench.attach(2);
  bench.handle.detachQueue(1, bench.done('detach 1'));
  expect(bench.log.at(-1)).toBe('detach 1 0');
});

test('a thread that cannot be started is lost for good', async () => {
  bench = new HandleBench('fails');
  const { handle, log } = bench;
  handle.attachQueue(1, bindingOf(1), bench.done('attach'));
  await bench.until('lost');
  expect(log).toEqual(['ended', 'lost', `attach ${-errno.EIO}`]);
  handle.attachQueue(1, bindingOf(1), bench.done('attach'));
  handle.detachQueue(1, bench.done('detach'));
  expect(log.slice(3)).toEqual([`attach ${-errno.EIO}`, 'detach 0']);
});
