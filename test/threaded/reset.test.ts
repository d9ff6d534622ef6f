// Does a device that stops answering stop anybody else, and is it there again afterwards? Real threads, of which one
// runs in a loop without an end.
import { afterEach, describe, expect, test } from 'vitest';
import { openPool, type ThreadedPlatform } from 'warpdrive/sim';
import { type OpenedQueue, openQueue } from '../../lib/devices.js';
import { limits } from '../../src/base/limits.js';
import { MiB, NS_PER_SECOND, PAGE_BYTES } from '../../src/base/units.js';
import { errno } from '../../src/uapi/errno.js';
import { UACCE_CMD_PUT_Q, UACCE_CMD_START_Q } from '../../src/uapi/ioctl.js';
import { CQE_PHASE_OFFSET, dusShape, queueWord } from '../../src/uapi/queue-layout.js';
import { pollEvent, type SyscallRequest } from '../../src/uapi/syscall.js';
import { copySqeOf } from '../hw/copy-requests.js';
import { loadDrivers, startMachine, type Threaded, until } from './threaded-bench.js';

/** Short enough to wait for, long enough for a thread that is well, on a machine that is not. */
const BOUND = { invalidationTimeoutNs: 2 * NS_PER_SECOND };
const DEADLY = 'deadly-0';
const COPY = 'wd_copy-1';

let threaded: Threaded;
const users: User[] = [];
afterEach(async () => {
  for (const user of users.splice(0)) await user.platform.exit();
  await threaded.close();
});

/** A process without the library: system calls, rings by hand, and a piece of memory for requests. */
class User {
  readonly platform: ThreadedPlatform;
  readonly #address: number;
  readonly #memory: Uint8Array;

  private constructor(platform: ThreadedPlatform, address: number) {
    this.platform = platform;
    this.#address = address;
    this.#memory = platform.mapRegion(address, MiB);
  }

  static async create(): Promise<User> {
    const platform = (await threaded.machine.createProcess())._unsafeUnwrap();
    const { ret } = await platform.syscall({ call: 'mmapAnonymous', kind: 'pool', bytes: MiB });
    const user = new User(platform, ret);
    users.push(user);
    return user;
  }

  async call(request: SyscallRequest): Promise<number> {
    return (await this.platform.syscall(request)).ret;
  }

  async queue(device: string): Promise<UserQueue> {
    return new UserQueue(this, (await openQueue(this.platform, device, 0))._unsafeUnwrap());
  }

  /** Maps a page, touches it, and unmaps it again: every device of the process must acknowledge. The answer. */
  async unmapOne(): Promise<number> {
    const address = await this.call({ call: 'mmapAnonymous', kind: 'demand', bytes: PAGE_BYTES });
    expect(await this.call({ call: 'writeMemory', address, source: Uint8Array.of(1) })).toBe(1);
    return this.call({ call: 'munmap', address, bytes: PAGE_BYTES });
  }

  /** An SQE that has `text` copied to the page behind it. */
  request(text: string): Uint8Array {
    this.#memory.fill(0);
    this.#memory.set(Buffer.from(text));
    const [source, destination] = [this.#address, this.#address + PAGE_BYTES];
    return copySqeOf({ source, destination, bytes: text.length });
  }

  copied(bytes: number): string {
    return Buffer.from(this.#memory.subarray(PAGE_BYTES, PAGE_BYTES + bytes)).toString();
  }
}

/** A queue that is given one request after the other. */
class UserQueue {
  readonly fd: number;
  readonly lost: string[] = [];
  readonly #user: User;
  readonly #queue: OpenedQueue;
  readonly #words: Int32Array;
  #tail = 0;
  #interrupts = 0;

  constructor(user: User, queue: OpenedQueue) {
    this.#user = user;
    this.#queue = queue;
    this.fd = queue.fd;
    this.#words = new Int32Array(queue.mmio.buffer, queue.mmio.byteOffset, queue.mmio.length >>> 2);
    this.watch();
  }

  /** Asks to be told, as after every start. */
  watch(): void {
    const { platform } = this.#user;
    platform.onInterrupt(this.fd, () => {
      this.#interrupts += 1;
      this.#store('INTERRUPT_PENDING', 0);
    });
    platform.onLost(this.fd, (reason) => this.lost.push(reason));
  }

  submit(text: string): void {
    const { dus, sqeBytes } = this.#queue;
    dus.set(this.#user.request(text), this.#tail * sqeBytes);
    this.#tail += 1;
    this.#store('EVENT_INDEX', this.#tail);
    this.#store('SQ_TAIL', this.#tail);
    this.#user.platform.wake(this.fd);
  }

  /** Has `text` copied, waits for the interrupt: the copy. */
  async copy(text: string): Promise<string> {
    const before = this.#interrupts;
    this.submit(text);
    await until(() => this.#interrupts > before);
    expect(this.#published(this.#tail - 1)).toBe(true);
    this.#store('CQ_HEAD', this.#tail);
    return this.#user.copied(text.length);
  }

  /** Puts the engine thread into its loop. */
  async wedge(): Promise<void> {
    this.submit('wedge');
    await until(() => this.#user.copied(5) === 'wedge');
  }

  /** PUT_Q, then START_Q: their answers. */
  async restart(): Promise<number[]> {
    const answers: number[] = [];
    for (const command of [UACCE_CMD_PUT_Q, UACCE_CMD_START_Q])
      answers.push(await this.#user.call({ call: 'ioctl', fd: this.fd, command }));
    this.#tail = 0;
    this.watch();
    return answers;
  }

  poll(): Promise<number> {
    return this.#user.call({ call: 'poll', fd: this.fd });
  }

  /** Hears from the machine that the queue is lost. */
  async hearOfLoss(): Promise<void> {
    await until(() => this.lost.length > 0);
  }

  #store(word: keyof typeof queueWord, value: number): void {
    Atomics.store(this.#words, queueWord[word] >>> 2, value);
  }

  #published(count: number): boolean {
    const { dus, sqeBytes, sqDepth, cqDepth } = this.#queue;
    const { cqOffset } = dusShape(sqeBytes, sqDepth, cqDepth);
    return (dus[cqOffset + count * 16 + CQE_PHASE_OFFSET]! & 1) === 1;
  }
}

describe('an engine thread in a loop without an end', () => {
  test('is ended when it does not acknowledge: munmap completes, the other device serves on (S18)', async () => {
    threaded = await startMachine(['deadly', 'copy'], BOUND);
    const user = await User.create();
    const [deadly, copy] = [await user.queue(DEADLY), await user.queue(COPY)];
    expect(await deadly.copy('hello')).toBe('hello');
    await deadly.wedge();
    expect(await user.unmapOne()).toBe(0);
    expect((await deadly.poll()) & pollEvent.ERR).toBe(pollEvent.ERR);
    await deadly.hearOfLoss();
    expect(copy.lost).toEqual([]);
    for (let i = 0; i < 50; i++) expect(await copy.copy(`still ${i}`)).toBe(`still ${i}`);
    expect(await user.unmapOne()).toBe(0);
  });

  test('is started again: by PUT_Q and START_Q of its queues, and by new ones', async () => {
    threaded = await startMachine(['deadly', 'copy'], BOUND);
    const user = await User.create();
    const old = await user.queue(DEADLY);
    // Longer than one life: each thread has a port of its own for its interrupts.
    for (let life = 1; life <= 2; life++) {
      expect(await old.copy(`life ${life}`)).toBe(`life ${life}`);
      await old.wedge();
      expect(await user.unmapOne()).toBe(0);
      await until(() => old.lost.length === life);
      const fresh = await user.queue(DEADLY);
      expect(await fresh.copy('fresh')).toBe('fresh');
      expect(await old.restart()).toEqual([0, 0]);
      expect(await old.copy('again')).toBe('again');
      expect(await fresh.copy('both')).toBe('both');
      expect(await user.call({ call: 'close', fd: fresh.fd })).toBe(0);
      expect(fresh.lost).toEqual([]);
    }
  });

  test('keeps nobody from closing its queues, nor a process from ending', async () => {
    threaded = await startMachine(['deadly'], BOUND);
    const user = await User.create();
    const [first, second] = [await user.queue(DEADLY), await user.queue(DEADLY)];
    await first.wedge();
    expect(await user.call({ call: 'ioctl', fd: second.fd, command: UACCE_CMD_PUT_Q })).toBe(0);
    const other = await User.create();
    await (await other.queue(DEADLY)).wedge();
    await users.pop()!.platform.exit();
    expect(await (await user.queue(DEADLY)).copy('after')).toBe('after');
  });

  test('that was replaced is not taken for its successor by whoever hears late of its end', async () => {
    threaded = await startMachine(['deadly'], BOUND);
    const [quick, idle] = [await User.create(), await User.create()];
    const [first, other] = [await quick.queue(DEADLY), await idle.queue(DEADLY)];
    expect(await first.copy('one')).toBe('one');
    expect(await other.copy('two')).toBe('two');
    await first.wedge();
    expect(await quick.unmapOne()).toBe(0);
    expect(await first.restart()).toEqual([0, 0]);
    await other.hearOfLoss();
    for (let i = 0; i < 50; i++) expect(await first.copy(`new ${i}`)).toBe(`new ${i}`);
    expect(await other.restart()).toEqual([0, 0]);
    expect(await other.copy('back')).toBe('back');
    expect([first.lost.length, other.lost.length]).toEqual([1, 1]);
  });
});

test('the library: requests in flight fail with DeviceLost, later calls work on the thread that was started', async () => {
  threaded = await startMachine(['deadly', 'copy'], BOUND);
  const deadly = threaded.pool.session({ op: 'deadly', route: 'device' })._unsafeUnwrap();
  expect((await deadly.run('hello')).isOk()).toBe(true);
  const user = await User.create();
  await user.queue(DEADLY);
  let told = 0;
  const calls = ['wedge', 'behind it', 'and another'].map((text) =>
    deadly.run(text).then((result) => {
      expect(result._unsafeUnwrapErr()).toMatchObject({ kind: 'DeviceLost', retryable: true });
      told += 1;
    }),
  );
  // The first of these may find the engine still on its way to the loop.
  while (told === 0) expect(await user.unmapOne()).toBe(0);
  await Promise.all(calls);
  const copy = threaded.pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
  expect((await copy.run('the same pool goes on')).isOk()).toBe(true);
  const next = (await openPool(threaded.machine, await loadDrivers(['deadly'])))._unsafeUnwrap();
  const again = next.session({ op: 'deadly', route: 'device' })._unsafeUnwrap();
  for (let i = 0; i < 200; i++) expect((await again.run(`request ${i}`)).isOk()).toBe(true);
  (await next.close())._unsafeUnwrap();
});

describe('an engine thread that ends again and again', () => {
  /** One life of the thread, by a queue that is taken from it at its end. */
  async function life(user: User, last: string): Promise<void> {
    const queue = await user.queue(DEADLY);
    if (last === 'throw') {
      queue.submit(last);
      await queue.hearOfLoss();
    } else {
      expect(await queue.copy(last)).toBe(last);
    }
    expect(await user.call({ call: 'ioctl', fd: queue.fd, command: UACCE_CMD_PUT_Q })).toBe(0);
  }

  test('is given up when none of its queues ends well in between', async () => {
    threaded = await startMachine(['deadly', 'copy']);
    const user = await User.create();
    for (let ends = 0; ends <= limits.ENGINE_RESTARTS_MAX; ends++) await life(user, 'throw');
    expect(await user.call({ call: 'open', path: `/dev/${DEADLY}` })).toBe(-errno.ENODEV);
    expect(await (await user.queue(COPY)).copy('still here')).toBe('still here');
  });

  test('is started as often as it takes when its queues do end well', async () => {
    threaded = await startMachine(['deadly']);
    const user = await User.create();
    for (let ends = 0; ends <= limits.ENGINE_RESTARTS_MAX + 1; ends++) {
      await life(user, 'throw');
      await life(user, 'hello');
    }
  });
});
