/**
 * Memory of several processes and two devices against the reference of memory-model.ts: whatever is mapped, written,
 * forked, protected, written out, pinned and ended, in whatever order devices acknowledge and threads leave their
 * accesses, each byte that anybody reads is the right one, nobody reaches what is not his, and all frames come back.
 *
 * `WD_MODEL_RUNS` sets how many runs there are of each kind; a failure prints the seed that repeats it.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { assert } from '../../src/base/assert.js';
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import type { GuestMemoryDomain } from '../../src/kernel/guest-memory.js';
import { errno } from '../../src/uapi/errno.js';
import { Bench, type BenchOptions, User } from './bench.js';
import {
  DEVICES,
  MemoryModel,
  type ModelRequest,
  type Operation,
  operation,
  type RequestOf,
  syscallOf,
} from './memory-model.js';

const RUNS = Number(process.env.WD_MODEL_RUNS ?? 300);
/** Of runs in which memory is short. */
const SHORT_RUNS = Math.ceil(RUNS / 3);

/** What else happens on the bench. */
const WAITS = ['holdDevices', 'holdThreads', 'devicesAcknowledge', 'threadsLeave', 'release'] as const;
type Wait = { readonly kind: (typeof WAITS)[number] };
type Step = Operation | Wait;

function isWait(step: Step): step is Wait {
  return (WAITS as readonly string[]).includes(step.kind);
}
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: operation() },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom(...WAITS) }) },
  ),
  { minLength: 10, maxLength: 80, size: 'max' },
) as fc.Arbitrary<Step[]>;

interface Surroundings extends BenchOptions {
  /** Quota of each process: memory may run out. */
  readonly userFrames?: number;
  /** Size of a domain of their own; absent: they are the host's. */
  readonly guestBytes?: number;
}

/** The kernel's bench as the system under test. */
class BenchSubject {
  readonly bench: Bench;
  readonly model: MemoryModel;
  readonly #isScarce: boolean;
  readonly #users = new Map<number, User>();
  readonly #paths: readonly string[];
  readonly #names: readonly string[];
  readonly #guest: GuestMemoryDomain | null;
  /** Physical addresses of the frames of each pin, by process and pin. */
  readonly #pins = new Map<string, readonly number[]>();

  constructor(options: Surroundings) {
    this.bench = new Bench(options);
    this.#isScarce = options.userFrames !== undefined;
    this.model = new MemoryModel({ scarce: this.#isScarce });
    this.#guest = options.guestBytes === undefined ? null : this.bench.guest(options.guestBytes);
    const domain = this.#guest ?? this.bench.host;
    const devices = [0, 1].map((deviceId) => this.bench.addDevice({ queues: 64 }, deviceId, domain));
    this.#paths = devices.map(({ path }) => path);
    this.#names = devices.map(({ name }) => name);
    for (let count = 0; count < 2; count++) {
      const number = this.model.start();
      this.#adopt(number, this.bench.user(options.userFrames, domain));
      this.#issue({
        kind: 'mmap',
        process: number,
        memory: 'demand',
        bytes: 4 * PAGE_BYTES,
        prefault: false,
      });
    }
  }

  run(step: Step): void {
    if (isWait(step)) {
      this.#wait(step);
      return;
    }
    const request = this.model.plan(step);
    if (request !== null) this.#perform(request);
  }

  #wait({ kind }: Wait): void {
    const { bench } = this;
    if (kind === 'holdDevices') bench.holdsInvalidations = true;
    else if (kind === 'holdThreads') bench.threads.holds = true;
    else if (kind === 'devicesAcknowledge') bench.acknowledgeHeld();
    else if (kind === 'threadsLeave') bench.threads.leaveHeld();
    else this.release();
  }

  /** Nobody is waited for any more: everything is answered. */
  release(): void {
    this.bench.acknowledge();
    this.bench.threads.leaveAll();
    assert(this.model.waiting.length === 0, `not answered: ${JSON.stringify(this.model.waiting)}`);
  }

  /** Every byte of every process as CPU and devices read it, and then the end of all. */
  finish(): void {
    this.release();
    for (const number of this.model.live) this.#compare(number);
    for (const number of this.model.live) this.#issue({ kind: 'exit', process: number });
    for (const name of this.#names) this.bench.removeDevice(name);
    this.#guest?.destroy();
    expect(this.bench.frames.freeFrames).toBe(this.bench.freeAtStart);
  }

  #compare(number: number): void {
    const user = this.#users.get(number)!;
    for (const { va, protection, at } of this.model.pagesOf(number)) {
      if (protection === 'none')
        assert(user.mprotect(va, PAGE_BYTES, 'read').ret === 0, 'a page is protected');
      const bytes = user.read(va, PAGE_BYTES);
      if (bytes === -errno.ENOMEM && this.#isScarce) continue;
      assert(typeof bytes !== 'number', `process ${number} reads 0x${va.toString(16)}: ${bytes}`);
      const wrong = bytes.findIndex((byte, offset) => !at(offset).has(byte));
      assert(wrong < 0, `process ${number}, 0x${(va + wrong).toString(16)} is ${bytes[wrong]}`);
      for (let device = 0; device < DEVICES && !this.#isScarce; device++) {
        const { ret } = this.bench.deviceRead(user, va, device);
        assert(ret === bytes[0], `device ${device} reads ${ret} at 0x${va.toString(16)}, not ${bytes[0]}`);
      }
    }
  }

  #issue(request: ModelRequest): void {
    this.model.begin(request);
    this.#perform(request);
  }

  #perform(request: ModelRequest): void {
    const user = this.#users.get(request.process)!;
    const done = (ret: number): void => this.model.answered(request, ret);
    switch (request.kind) {
      case 'exit':
        return this.bench.kernel.exitProcess(user.process.pid, done);
      case 'fork':
        return this.#fork(user, request, done);
      case 'deviceRead':
      case 'deviceWrite':
        return this.#access(user, request, done);
      case 'pinnedRead':
      case 'pinnedWrite':
        return done(this.#throughPin(request));
      default:
        return this.#call(user, request, done);
    }
  }

  #call({ process: { pid, space } }: User, request: ModelRequest, done: (ret: number) => void): void {
    this.bench.kernel.syscall(pid, syscallOf(request)!, ({ ret, bytes }) => {
      // Before anything else can happen: the frames that the device is told.
      if (request.kind === 'pin' && ret > 0) {
        const pages = Array.from(
          { length: request.bytes / PAGE_BYTES },
          (_, page) => request.va + page * PAGE_BYTES,
        );
        const frames = pages.map((va) => space.access(va, 'write'));
        this.#pins.set(`${request.process} ${ret}`, frames);
      }
      done(bytes?.[0] ?? ret);
    });
  }

  #access(
    user: User,
    request: RequestOf<'deviceRead'> | RequestOf<'deviceWrite'>,
    done: (ret: number) => void,
  ): void {
    const pasid = user.process.space.pasidOn(request.device);
    if (pasid < 0) return done(-errno.ENOMEM);
    const access = { va: request.va, pasid };
    const value = request.kind === 'deviceWrite' ? { value: request.value } : {};
    this.bench.device(request.device).access({ ...access, ...value }, done);
  }

  #fork({ process: { pid } }: User, { child }: RequestOf<'fork'>, done: (ret: number) => void): void {
    this.bench.kernel.forkProcess(pid, 0, (answer) => {
      done(typeof answer === 'number' ? answer : 0);
      if (typeof answer !== 'number') this.#adopt(child, new User(this.bench, answer.child));
    });
  }

  /** By physical address, as a device does that was told the frames. */
  #throughPin(request: RequestOf<'pinnedRead'> | RequestOf<'pinnedWrite'>): number {
    const frame = this.#pins.get(`${request.process} ${request.pin}`)![request.index]!;
    const { u8 } = this.bench.memory;
    if (request.kind === 'pinnedRead') return u8[frame + request.offset]!;
    u8[frame + request.offset] = request.value;
    return 0;
  }

  #adopt(number: number, user: User): void {
    for (const path of this.#paths) {
      const ret = user.open(path);
      assert(
        ret > 0 || (this.#isScarce && ret === -errno.ENOMEM),
        `every process opens every device: ${ret}`,
      );
    }
    this.#users.set(number, user);
  }
}

function explore(options: Surroundings, all: readonly Step[]): void {
  const subject = new BenchSubject(options);
  for (const step of all) subject.run(step);
  subject.finish();
}

it('every byte is right, whatever is waited for, and all memory comes back', () => {
  fc.assert(
    fc.property(steps, (all) => explore({}, all)),
    { numRuns: RUNS },
  );
});

it('the same in a domain whose addresses go through a second stage', () => {
  fc.assert(
    fc.property(steps, (all) => explore({ guestBytes: 8 * MiB }, all)),
    { numRuns: SHORT_RUNS },
  );
});

it('the same where processes have less memory than they use and pages leave it all the time', () => {
  fc.assert(
    fc.property(steps, (all) => explore({ userFrames: 15 }, all)),
    { numRuns: SHORT_RUNS },
  );
});

it('the same where the processes together have too little, and pay for each other', () => {
  fc.assert(
    fc.property(steps, (all) => explore({ quotaFrames: 70, userFrames: 70 }, all)),
    { numRuns: SHORT_RUNS },
  );
});
