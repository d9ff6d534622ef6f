// Do the threads of a program share one machine, each as a process of its own, without the main thread in the data path?
// What if threads or machines end in between, or nobody answers?
import { Worker } from 'node:worker_threads';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as wd from 'warpdrive';
import { runProgram, until } from './threaded-bench.js';

const THREAD = new URL('./fixtures/thread.mjs', import.meta.url);
const text = Buffer.from('One machine for all, and to each a process.\n'.repeat(500));
const device = { route: 'device' } as const;
const LOST = ['DeviceLost', 'NoDevice', 'InvalidState'];

interface Outcome {
  readonly path?: string;
  readonly data?: Uint8Array;
  readonly kind?: string;
  readonly argument?: string;
}

/** A worker that uses the library, and does what it is told. */
class Thread {
  readonly worker: Worker;
  readonly exited: Promise<number>;
  /** Outcomes of the requests of `begin`. */
  readonly outcomes: Outcome[] = [];
  readonly #answers = new Map<number, (answer: unknown) => void>();
  #sequence = 0;

  constructor(workerData: { alone?: boolean; calls?: number } = {}) {
    this.worker = new Worker(THREAD, { workerData });
    this.exited = new Promise((resolve) => this.worker.once('exit', resolve));
    this.worker.on('message', (message: { sequence?: number; answer?: unknown; started?: number }) => {
      if (message.sequence !== undefined) this.#answers.get(message.sequence)?.(message.answer);
      else if (message.started === undefined) this.outcomes.push(message as Outcome);
    });
  }

  call<Answer>(call: string, ...given: unknown[]): Promise<Answer> {
    const sequence = ++this.#sequence;
    return new Promise((resolve) => {
      this.#answers.set(sequence, resolve as (answer: unknown) => void);
      this.worker.postMessage({ sequence, call, given });
    });
  }

  compress(input: Uint8Array = text, options: object = device): Promise<Outcome> {
    return this.call<Outcome>('compress', input, options);
  }

  machines(): Promise<number> {
    return this.call<number>('machines');
  }
}

let threads: Thread[] = [];
/** Workers that the main thread has started in a test: threads of the test, and machines. */
let workers = 0;
const started = (data?: ConstructorParameters<typeof Thread>[0]): Thread => {
  const thread = new Thread(data);
  threads.push(thread);
  return thread;
};
const note = (): void => {
  workers += 1;
};
const ownMachines = (): number => workers - threads.length;

beforeEach(() => {
  [threads, workers] = [[], 0];
  process.on('worker', note);
});
afterEach(async () => {
  process.off('worker', note);
  await Promise.all(threads.map(({ worker }) => worker.terminate()));
  await wd.close();
});

function right(outcome: Outcome, input: Uint8Array = text): void {
  expect(outcome.kind).toBeUndefined();
  expect(gunzipSync(outcome.data!).equals(input)).toBe(true);
}

describe('a worker', () => {
  test('attaches to the machine of the main thread, also with a second one', async () => {
    (await wd.compress(text, device))._unsafeUnwrap();
    const both = [started(), started()];
    for (const outcome of await Promise.all(both.map((thread) => thread.compress()))) {
      right(outcome);
      expect(outcome.path).toBe('device');
    }
    expect(await Promise.all(both.map((thread) => thread.machines()))).toEqual([0, 0]);
    expect(ownMachines()).toBe(1);
  });

  test('that comes first has the main thread start the machine, which later calls there use', async () => {
    const thread = started();
    right(await thread.compress());
    expect([await thread.machines(), ownMachines()]).toEqual([0, 1]);
    (await wd.compress(text, device))._unsafeUnwrap();
    expect(ownMachines()).toBe(1);
  });

  test('and the main thread that begin at the same time share one machine', async () => {
    const thread = started();
    const [theirs, ours] = await Promise.all([thread.compress(), wd.compress(text, device)]);
    right(theirs);
    right(ours._unsafeUnwrap());
    expect([await thread.machines(), ownMachines()]).toEqual([0, 1]);
  });

  test('moves its data without the main thread, which is blocked meanwhile', async () => {
    const thread = started();
    right(await thread.compress());
    expect(await thread.machines()).toBe(0);
    const word = new Int32Array(new SharedArrayBuffer(8));
    const done = thread.call('count', word, 3000, text);
    expect(Atomics.wait(word, 1, 0, 50_000)).not.toBe('timed-out');
    expect(word[0]).toBe(3000);
    await done;
  });

  test('starts a machine of its own when the main thread is blocked, waiting for that very worker', async () => {
    const thread = started();
    await thread.machines();
    const word = new Int32Array(new SharedArrayBuffer(8));
    const done = thread.call('count', word, 20, text);
    expect(Atomics.wait(word, 1, 0, 50_000)).not.toBe('timed-out');
    await done;
    expect([word[0], await thread.machines()]).toEqual([20, 1]);
    // The question came late, and nobody waits for its answer any more.
    expect(ownMachines()).toBe(0);
  });

  test('starts a machine of its own where threads cannot reach each other', async () => {
    (await wd.compress(text, device))._unsafeUnwrap();
    const thread = started({ alone: true });
    right(await thread.compress());
    expect(await thread.machines()).toBe(1);
  });

  test('starts a machine of its own when the shared one has no memory for it', async () => {
    process.env.WD_MEMORY = '32M';
    try {
      (await wd.compress(text, device))._unsafeUnwrap();
      const thread = started();
      right(await thread.compress());
      expect([await thread.machines(), ownMachines()]).toEqual([1, 1]);
    } finally {
      delete process.env.WD_MEMORY;
    }
  });

  test('is told what is wrong in its environment, and starts nothing then', async () => {
    const thread = started();
    await thread.call('set', 'WD_ENGINES', '99');
    expect(await thread.compress()).toMatchObject({ kind: 'InvalidArgument', argument: 'WD_ENGINES' });
    await thread.call('set', 'WD_ENGINES', '');
    right(await thread.compress());
    expect(await thread.machines()).toBe(0);
  });
});

describe('ends', () => {
  test('of workers with requests in flight give everything back, and harm nobody', async () => {
    (await wd.compress(text, device))._unsafeUnwrap();
    const large = Buffer.alloc(3_000_000, text);
    // Each has 64 MiB of the 1 GiB of the machine: the last ones attach only if the first ones' came back.
    for (let round = 0; round < 8; round++) {
      const some = [started(), started(), started()];
      await Promise.all(some.map((thread) => thread.compress()));
      expect(await Promise.all(some.map((thread) => thread.machines()))).toEqual([0, 0, 0]);
      await Promise.all(some.map((thread) => thread.call('begin', 30, large)));
      const ours = Array.from({ length: 30 }, () => wd.compress(text, device));
      await Promise.all(some.map((thread) => thread.worker.terminate()));
      for (const result of await Promise.all(ours)) right(result._unsafeUnwrap());
    }
    expect(ownMachines()).toBe(1);
  });

  test('of the machine, closed by its owner, are told to each request, and the next one finds another', async () => {
    const thread = started();
    right(await thread.compress());
    for (let round = 1; round <= 3; round++) {
      await thread.call('begin', 20, Buffer.alloc(3_000_000, text));
      await wd.close();
      await until(() => thread.outcomes.length === 20 * round);
      right(await thread.compress());
    }
    for (const { kind } of thread.outcomes) if (kind !== undefined) expect(LOST).toContain(kind);
    expect([await thread.machines(), ownMachines()]).toEqual([0, 4]);
  });

  test('of a pool, closed by the worker, are its own affair', async () => {
    const thread = started();
    right(await thread.compress());
    await Promise.all([thread.compress(), thread.call('close')]);
    (await wd.compress(text, device))._unsafeUnwrap();
    right(await thread.compress());
    expect([await thread.machines(), ownMachines()]).toEqual([0, 1]);
  });

  test('of an idle worker come by themselves, and not before its requests are answered', async () => {
    (await wd.compress(text, device))._unsafeUnwrap();
    const [idle, busy] = [started({ calls: 1 }), started({ calls: 1 })];
    right(await idle.compress());
    await busy.call('begin', 30, text);
    expect(await Promise.all([idle.exited, busy.exited])).toEqual([0, 0]);
    expect(busy.outcomes.length).toBe(30);
    for (const outcome of busy.outcomes) right(outcome);
  });
});

const STEPS = ['start', 'compress', 'begin', 'close', 'terminate', 'meet', 'ownCall', 'ownClose'] as const;
/** What is done, and by which of the threads. */
type Step = readonly [(typeof STEPS)[number], number];

/**
 * Does the steps, and waits for `meet` and `ownCall` only, so that the others fall into every moment of a start or an end;
 * answers what became of the calls of threads that were not terminated.
 */
async function follow(steps: readonly Step[]): Promise<Outcome[]> {
  const living = new Map<number, { thread: Thread; calls: Promise<Outcome>[] }>();
  for (const [step, which] of steps) {
    if (step === 'start' && !living.has(which)) living.set(which, { thread: started(), calls: [] });
    const { thread, calls } = living.get(which) ?? {};
    if (step === 'ownClose') void wd.close();
    if (step === 'ownCall') await wd.compress(text).then(() => {});
    if (thread === undefined || calls === undefined) continue;
    if (step === 'compress') calls.push(thread.compress());
    if (step === 'begin') void thread.call('begin', 5, text);
    if (step === 'close') void thread.call('close');
    if (step === 'meet') await thread.machines();
    if (step !== 'terminate') continue;
    void thread.worker.terminate();
    living.delete(which);
  }
  return Promise.all([...living.values()].flatMap(({ calls }) => calls));
}

test('in whatever order threads begin and end, and machines end, every call is answered', async () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat({ max: 2 })), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(steps, async (given) => {
      const first: Step[] = [
        ['start', 0],
        ['compress', 0],
        ['start', 1],
        ['compress', 1],
      ];
      for (const outcome of await follow([...first, ...given])) {
        if (outcome.kind === undefined) right(outcome);
        else expect(LOST).toContain(outcome.kind);
      }
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
      (await wd.compress(text))._unsafeUnwrap();
      await wd.close();
    }),
    { numRuns: 8, endOnFailure: true },
  );
}, 180_000);

test('what other parts of a program, or another copy of the package, say is no harm', async () => {
  const thread = started();
  expect(await thread.call('disturb', 0)).toBe(2);
  expect(ownMachines()).toBe(0);
  right(await thread.compress());
  expect([await thread.machines(), ownMachines()]).toEqual([0, 1]);
});

describe('where the main thread has not loaded the library', () => {
  /** A program whose main thread only starts threads and tells them what to do. */
  const program = (body: string): string => `
    import { Worker } from 'node:worker_threads';
    const text = Buffer.alloc(20_000, 'without the main thread');
    let sequence = 0;
    class Thread {
      constructor(workerData) {
        this.worker = new Worker(new URL('${THREAD.href}'), { execArgv: [], workerData });
      }
      call(call, ...given) {
        const mine = ++sequence;
        return new Promise((resolve) => {
          const hear = (message) => message.sequence === mine && (this.worker.off('message', hear), resolve(message.answer));
          this.worker.on('message', hear);
          this.worker.postMessage({ sequence: mine, call, given });
        });
      }
      path = async () => (await this.call('compress', text, { route: 'device' })).path;
      machines = () => this.call('machines');
      end = () => this.worker.terminate();
    }
    ${body}
  `;

  test('workers share the machine of one of them, and find another when it ends', async () => {
    const ended = await runProgram(
      program(`
        const one = new Thread();
        console.log(await one.path(), await one.machines());
        let two;
        // The first may be slow to answer on a busy computer.
        for (;;) {
          two = new Thread();
          await two.path();
          if (await two.machines() === 0) break;
          await two.end();
        }
        const three = new Thread();
        console.log(await two.path());
        await one.end();
        console.log(await two.path(), await three.path());
        await Promise.all([two.end(), three.end()]);
      `),
    );
    expect(ended).toMatchObject({ code: 0, stderr: '', stdout: 'device 1\ndevice\ndevice device\n' });
  });

  test('workers that begin at the same time all get an answer', async () => {
    const ended = await runProgram(
      program(`
        const all = Array.from({ length: 4 }, () => new Thread());
        console.log(...await Promise.all(all.map((thread) => thread.path())));
        await Promise.all(all.map((thread) => thread.end()));
      `),
    );
    expect(ended).toMatchObject({ code: 0, stderr: '', stdout: 'device device device device\n' });
  });

  test('an idle worker ends by itself, although it owns the machine', async () => {
    const ended = await runProgram(
      program(`
        const one = new Thread({ calls: 1 });
        one.worker.on('exit', (code) => console.log('ended', code));
        console.log(await one.path());
      `),
    );
    expect(ended).toMatchObject({ code: 0, stderr: '', stdout: 'device\nended 0\n' });
  });

  test('a listener of the main thread for messages of its own is not taken for a machine', async () => {
    const ended = await runProgram(
      program(`
        process.on('workerMessage', () => { throw new Error('not for me'); });
        process.on('workerMessage', () => {});
        const one = new Thread();
        console.log(await one.path(), await one.machines());
        await one.end();
      `),
    );
    expect(ended).toMatchObject({ code: 0, stderr: '', stdout: 'device 1\n' });
  });
});
