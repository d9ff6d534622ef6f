/**
 * Memory of whole machines, on both hosts, against the reference of test/kernel/memory-model.ts: loads and stores of user
 * threads, two copy devices (one asks for pages, one stalls), fork, unmap, protection, writing out, pins and exit, with
 * requests in flight at the same time. Each byte that anybody reads is the right one, and nobody reaches what is not his.
 *
 * `WD_MODEL_RUNS` sets how many runs there are on each host. A failure prints its seed; on the inline host the seed repeats
 * it, on threads it repeats the requests and not the times.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { startThreaded, type ThreadedMachine } from 'warpdrive/sim';
import { Crc32c } from '../../drivers/copy/crc32c.js';
import copy from '../../drivers/copy/index.js';
import { assert } from '../../src/base/assert.js';
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import { errno } from '../../src/uapi/errno.js';
import type { Platform } from '../../src/uapi/syscall.js';
import { newMachine } from '../hw/ring-mock.js';
import {
  MemoryModel,
  type ModelRequest,
  type Operation,
  operation,
  syscallOf,
} from '../kernel/memory-model.js';
import { copyDriverUrls, copyInstances, DEVICE_PATHS } from '../stress/copy-machine.js';
import { CopyQueue } from '../stress/copy-queue.js';

const RUNS = Number(process.env.WD_MODEL_RUNS ?? 300);
const MEMORY_BYTES = 32 * MiB;

/** A request of the model, or a wait until everything under way is answered. */
type Step = Operation | { readonly kind: 'settle' };

/** A device of a whole machine is told addresses and no frames: there are no accesses by pin. */
const byAddress = operation().filter(({ kind }) => kind !== 'pinnedRead' && kind !== 'pinnedWrite');

const sequences = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      { weight: 8, arbitrary: byAddress as fc.Arbitrary<Step> },
      { weight: 1, arbitrary: fc.constant<Step>({ kind: 'settle' }) },
    ),
    { minLength: 5, maxLength, size: 'max' },
  );

type AccessRequest = Extract<ModelRequest, { kind: 'read' | 'write' | 'deviceRead' | 'deviceWrite' }>;

function isAccess(request: ModelRequest): request is AccessRequest {
  return ['read', 'write', 'deviceRead', 'deviceWrite'].includes(request.kind);
}

/**
 * A process of the machine, and the order in which the model hears of what it did.
 *
 * An answer travels, so it tells of something that was a while ago, and two answers that go different ways may overtake
 * each other. So no two accesses to one byte are under way at once, if one of them writes; and of a system call the model
 * hears after all accesses that were under way when its answer came, for they may have been made before it.
 */
class Subject {
  readonly platform: Platform;
  readonly queues: readonly CopyQueue[];
  /** Accesses without an answer, by address. */
  readonly #accesses = new Map<number, Promise<void>>();
  /** Resolves when the model has heard of all system calls answered so far. */
  #heard: Promise<void> = Promise.resolve();
  /** System calls whose answer the model has not heard. */
  readonly #calls = new Set<Promise<void>>();

  private constructor(platform: Platform, queues: readonly CopyQueue[]) {
    this.platform = platform;
    this.queues = queues;
  }

  static async open(platform: Platform): Promise<Subject> {
    const queues: CopyQueue[] = [];
    for (const path of DEVICE_PATHS) queues.push(await CopyQueue.open(platform, path));
    return new Subject(platform, queues);
  }

  /** Whether a request is about memory of the queues, of which the model knows nothing. */
  isOwn({ va, bytes }: { va: number; bytes: number }): boolean {
    return this.queues.some((queue) => queue.touches(va, bytes));
  }

  /** Makes an access as soon as none to its byte is under way. */
  access(va: number, make: () => Promise<number>, answered: (ret: number) => void): void {
    const before = this.#accesses.get(va) ?? Promise.resolve();
    const made = before.then(make).then(answered);
    this.#accesses.set(va, made);
    hearLater(made);
  }

  /** Makes a system call; `answered` is called in the order of the answers. */
  call(make: () => Promise<number>, answered: (ret: number) => void): void {
    const made = make().then((ret) => {
      const accesses = [...this.#accesses.values()];
      this.#heard = this.#heard.then(() => Promise.all(accesses)).then(() => answered(ret));
      return this.#heard;
    });
    this.#calls.add(made);
    hearLater(made);
  }

  /** Everything under way is answered. */
  async settle(): Promise<void> {
    await Promise.all([...this.#accesses.values(), ...this.#calls]);
    this.#accesses.clear();
    this.#calls.clear();
  }
}

/** Whoever waits for everything meets the error; nobody does when something else has failed before. */
function hearLater(made: Promise<void>): void {
  made.catch(() => {});
}

/** A host that makes processes; one run on it. */
class Run {
  readonly #createProcess: () => Promise<Platform>;
  readonly #model = new MemoryModel();
  readonly #subjects = new Map<number, Subject>();

  constructor(createProcess: () => Promise<Platform>) {
    this.#createProcess = createProcess;
  }

  async explore(steps: readonly Step[]): Promise<void> {
    for (let count = 0; count < 2; count++) {
      const process = this.#model.start();
      this.#subjects.set(process, await Subject.open(await this.#createProcess()));
      const memory = { memory: 'demand', bytes: 4 * PAGE_BYTES, prefault: false } as const;
      await this.#issue({ kind: 'mmap', process, ...memory });
    }
    for (const step of steps) await this.#take(step);
    await this.#finish();
  }

  async #take(step: Step): Promise<void> {
    if (step.kind === 'settle') {
      await this.#settle();
      return;
    }
    // Somebody may be answered between two requests, on the threaded host as well.
    await new Promise(setImmediate);
    // An address may be handed out again while an old access to it is under way, which would then be right.
    if (step.kind === 'mmap') await this.#settle();
    const request = this.#model.plan(step);
    if (request !== null) await this.#perform(request);
  }

  async #settle(): Promise<void> {
    for (const subject of this.#subjects.values()) await subject.settle();
  }

  async #issue(request: ModelRequest): Promise<void> {
    this.#model.begin(request);
    await this.#perform(request);
  }

  /** Begins a request; when the promise resolves, the next one can be made. */
  async #perform(request: ModelRequest): Promise<void> {
    const subject = this.#subjects.get(request.process)!;
    const answered = (ret: number): void => this.#model.answered(request, ret);
    const range = 'va' in request && { va: request.va, bytes: 'bytes' in request ? request.bytes : 1 };
    if (range && subject.isOwn(range)) return answered(-errno.EFAULT);
    if (isAccess(request)) return subject.access(request.va, () => accessBy(subject, request), answered);
    if (request.kind === 'fork') return this.#fork(subject, request.child, answered);
    if (request.kind === 'exit') return subject.call(() => exitOf(subject), answered);
    subject.call(async () => (await subject.platform.syscall(syscallOf(request)!)).ret, answered);
    // Nothing that is planned before it is answered may be about the same pin.
    if (request.kind === 'mmap' || request.kind === 'unpin') await subject.settle();
  }

  #fork(subject: Subject, child: number, answered: (ret: number) => void): void {
    const fork = async (): Promise<number> => {
      const platform = await subject.platform.fork();
      if (typeof platform === 'number') return platform;
      this.#subjects.set(child, await Subject.open(platform));
      return 0;
    };
    subject.call(fork, answered);
  }

  /** Every byte of every process as its thread and both devices read it, and then the end of all. */
  async #finish(): Promise<void> {
    await this.#settle();
    assert(this.#model.waiting.length === 0, `not answered: ${JSON.stringify(this.#model.waiting)}`);
    for (const number of this.#model.live) await this.#compare(number);
    for (const number of this.#model.live) await this.#issue({ kind: 'exit', process: number });
    await this.#settle();
  }

  async #compare(number: number): Promise<void> {
    const { platform, queues } = this.#subjects.get(number)!;
    for (const { va, protection, at } of this.#model.pagesOf(number)) {
      if (protection === 'none') {
        const range = { address: va, bytes: PAGE_BYTES };
        await platform.syscall({ call: 'mprotect', ...range, protection: 'read' });
      }
      const bytes = await platform.load(va, PAGE_BYTES);
      assert(typeof bytes !== 'number', `process ${number} reads 0x${va.toString(16)}: ${bytes}`);
      const wrong = bytes.findIndex((byte, offset) => !at(offset).has(byte));
      assert(wrong < 0, `process ${number}, 0x${(va + wrong).toString(16)} is ${bytes[wrong]}`);
      for (const [device, queue] of queues.entries()) {
        const { status, result } = await queue.request({
          operation: 'crc32c',
          source: va,
          bytes: PAGE_BYTES,
        });
        const isRight = status === 0 && result === checksumOf(bytes);
        assert(isRight, `device ${device} reads other bytes at 0x${va.toString(16)} (status ${status})`);
      }
    }
  }
}

/** The byte that was read, 0 for one that was written, or a negated errno. */
async function accessBy({ platform, queues }: Subject, request: AccessRequest): Promise<number> {
  const { kind, va } = request;
  if (kind === 'read') {
    const bytes = await platform.load(va, 1);
    return typeof bytes === 'number' ? bytes : bytes[0]!;
  }
  if (kind === 'write') return platform.store(va, Uint8Array.of(request.value));
  const queue = queues[request.device]!;
  const { status, result } =
    kind === 'deviceRead'
      ? await queue.request({ operation: 'crc32c', source: va, bytes: 1 })
      : await queue.request({ operation: 'fill', destination: va, bytes: 1, pattern: request.value });
  if (status !== 0) return -errno.EFAULT;
  return kind === 'deviceRead' ? byteOfChecksum.get(result)! : 0;
}

async function exitOf({ platform, queues }: Subject): Promise<number> {
  for (const queue of queues) queue.abandon();
  await platform.exit();
  return 0;
}

function checksumOf(bytes: Uint8Array): number {
  const checksum = new Crc32c();
  checksum.add(bytes);
  return checksum.value;
}

/** What the device says of a single byte tells which it is. */
const byteOfChecksum = new Map(
  Array.from({ length: 256 }, (_, byte) => [checksumOf(Uint8Array.of(byte)), byte]),
);

const explore = (maxLength: number, newHost: () => Promise<() => Promise<Platform>>): Promise<void> =>
  fc.assert(
    fc.asyncProperty(sequences(maxLength), async (steps) => new Run(await newHost()).explore(steps)),
    { numRuns: RUNS },
  );

it('every byte is right on the inline host, where each cached translation is checked as well', async () => {
  await explore(40, async () => {
    const machine = newMachine({ drivers: [copy], instances: copyInstances, memoryBytes: MEMORY_BYTES });
    return async () => machine.createProcess()._unsafeUnwrap();
  });
});

describe('on threads', () => {
  let machine: ThreadedMachine;
  beforeAll(async () => {
    const config = { memoryBytes: MEMORY_BYTES, instances: copyInstances };
    machine = (await startThreaded({ config, driverUrls: copyDriverUrls() }))._unsafeUnwrap();
  });
  afterAll(() => machine.close());

  it('every byte is right, and one machine has the memory for all runs', async () => {
    await explore(20, async () => async () => (await machine.createProcess())._unsafeUnwrap());
  });
});
