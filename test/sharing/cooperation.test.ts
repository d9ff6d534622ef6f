// Can a domain whose device cannot be left in the middle of a request opt in to give it up, and is one that does not, or
// does not keep its promise, still no harm to anybody (R25, R43)?
import { describe, expect, it } from 'vitest';
import { copyStatus } from '../../drivers/copy/layout.js';
import { limits } from '../../src/base/limits.js';
import { MiB, NS_PER_MS } from '../../src/base/units.js';
import { UACCE_CMD_PUT_Q, UACCE_CMD_START_Q } from '../../src/uapi/ioctl.js';
import { pollEvent } from '../../src/uapi/syscall.js';
import { copyOutcome, copySqeOf } from '../hw/copy-requests.js';
import type { RingMock } from '../hw/ring-mock.js';
import { registerAt, registerDriver } from './register-device.js';
import { SharingBench } from './sharing-bench.js';

/** A request of so many bytes never ends. */
const ENDLESS = 7 * MiB;
const INSTANCE = 'dial0';

const ioctl = (ring: RingMock, command: number) =>
  ring.process.platform.syscall({ call: 'ioctl', fd: ring.fd, command });
const poll = async (ring: RingMock) =>
  (await ring.process.platform.syscall({ call: 'poll', fd: ring.fd })).ret;

/** What a process does when its queue is interrupted. */
type Handler = (ring: RingMock) => void;

/** Stops its queue: whatever the queue has the device do is dropped. */
const stopsQueue: Handler = (ring) => {
  if (ring.readWord('YIELD') === 1) void ioctl(ring, UACCE_CMD_PUT_Q);
};
/** Cancels the request in the first slot: it completes with an error. */
const cancelsRequest: Handler = (ring) => {
  if (ring.readWord('YIELD') === 1) ring.writeWord('CANCELLED', 1);
};
const ignoresIt: Handler = () => {};

/** Two domains: the first is in the middle of a request that never ends; `handler` is what its process does. */
async function begin({ cooperates, handler }: { readonly cooperates: number; readonly handler: Handler }) {
  const bench = new SharingBench({ drivers: [registerDriver('none', ENDLESS)] });
  const { machine } = bench;
  for (const name of ['long', 'short']) bench.domain(name);
  const parameters = { cooperates };
  const set = await machine.call({
    call: 'setDomainParameters',
    domain: 'long',
    instance: INSTANCE,
    parameters,
  });
  set._unsafeUnwrap();
  const [long, short] = [
    await bench.queue(bench.process('long'), 'long', INSTANCE),
    await bench.queue(bench.process('short'), 'short', INSTANCE),
  ];
  const asked: number[] = [];
  long.process.platform.onInterrupt(long.fd, () => {
    long.writeWord('INTERRUPT_PENDING', 0);
    asked.push(long.readWord('YIELD'));
    handler(long);
  });
  long.submit(copySqeOf({ bytes: ENDLESS, pattern: 1, tag: 5 }));
  bench.advance(NS_PER_MS);
  return { bench, long, short, asked };
}

/** Lets the other domain want the device: how long it took to have it, ns. */
function wait({ bench, short }: Awaited<ReturnType<typeof begin>>): number {
  const startNs = bench.machine.nowNs;
  short.submit(copySqeOf({ bytes: 1000, pattern: 2 }));
  bench.until(() => short.published());
  return bench.machine.nowNs - startNs;
}

describe('a domain that is in the middle of a request which cannot be left', () => {
  it.each([
    ['stops its queue', stopsQueue],
    ['cancels its request', cancelsRequest],
  ] as const)(
    'R43: cooperates and %s: the other has the device at once, and nobody failed',
    async (_, handler) => {
      const setting = await begin({ cooperates: 1, handler });
      const { bench, long, asked } = setting;
      expect(wait(setting)).toBeLessThan(2 * NS_PER_MS);
      bench.rest();
      expect(asked[0]).toBe(1);
      expect(long.readWord('YIELD')).toBe(0);
      const { failures, state, times } = bench.snapshot('long', INSTANCE);
      expect([failures, state !== 'ISOLATED']).toEqual([0, true]);
      expect(times.denied).toBeLessThan(NS_PER_MS);
      expect(bench.query(INSTANCE).switches).toMatchObject({ contextResets: 0, deviceResets: 0 });
    },
  );

  it('R43: and goes on afterwards as before', async () => {
    const setting = await begin({ cooperates: 1, handler: stopsQueue });
    const { bench, long } = setting;
    wait(setting);
    bench.rest();
    expect((await ioctl(long, UACCE_CMD_START_Q)).ret).toBe(0);
    // The rings of a queue that was put are as new.
    long.sqTail = 0;
    long.cqHead = 0;
    const completed = long.execute(copySqeOf({ bytes: 1000, pattern: 3, tag: 9 }));
    expect(copyOutcome(completed)).toMatchObject({ tag: 9, status: copyStatus.DONE });
  });

  it('R25, R43: never promised: hears nothing, is reset at the deadline, and goes on with its next request', async () => {
    const setting = await begin({ cooperates: 0, handler: stopsQueue });
    const { bench, long, asked } = setting;
    const waitedNs = wait(setting);
    expect(waitedNs).toBeGreaterThan(limits.DRAIN_DEADLINE_NS);
    expect(waitedNs).toBeLessThan(limits.DRAIN_DEADLINE_NS + 2 * limits.SWITCH_RETRY_NS_MAX);
    bench.rest();
    expect(asked.every((word) => word === 0)).toBe(true);
    expect(bench.snapshot('long', INSTANCE).failures).toBe(1);
    expect(copyOutcome(long.completions()[0]!.sqe).status).toBe(copyStatus.ACCESS_FAILED);
    long.submit(copySqeOf({ bytes: 1000, pattern: 3 }));
    bench.rest();
    expect(copyOutcome(long.completions()[0]!.sqe).status).toBe(copyStatus.DONE);
  });

  it('R43: promised and does nothing: is treated as one that never did', async () => {
    const never = await begin({ cooperates: 0, handler: ignoresIt });
    const breaks = await begin({ cooperates: 1, handler: ignoresIt });
    expect(wait(breaks)).toBe(wait(never));
    for (const { bench } of [never, breaks]) bench.rest();
    expect(breaks.asked[0]).toBe(1);
    const ofBoth = [never, breaks].map(({ bench }) => bench.snapshot('long', INSTANCE));
    expect(ofBoth[1]!.times).toEqual(ofBoth[0]!.times);
    expect(ofBoth.map(({ failures, lastFailure }) => [failures, lastFailure])).toEqual(
      Array(2).fill([1, expect.stringContaining('denied')]),
    );
    expect(breaks.long.readWord('YIELD')).toBe(0);
  });

  it('R43: a process that does not wait for interrupts sees it with poll', async () => {
    const setting = await begin({ cooperates: 1, handler: ignoresIt });
    const { bench, long, short } = setting;
    expect((await poll(long)) & pollEvent.PRI).toBe(0);
    short.submit(copySqeOf({ bytes: 1000, pattern: 2 }));
    bench.advance(NS_PER_MS);
    const issued = long.process.platform.syscall({ call: 'poll', fd: long.fd });
    expect((await issued).ret & pollEvent.PRI).toBe(pollEvent.PRI);
    bench.rest();
    expect((await poll(long)) & pollEvent.PRI).toBe(0);
  });

  it('R43: leaves while it is asked: nothing is left to be told, and the other goes on', async () => {
    const setting = await begin({ cooperates: 1, handler: ignoresIt });
    const { bench, short, asked } = setting;
    short.submit(copySqeOf({ bytes: 1000, pattern: 2 }));
    bench.advance(NS_PER_MS);
    expect(asked).toEqual([1]);
    bench.end('long');
    bench.until(() => short.published());
    expect(bench.query(INSTANCE).vcoprocs).toHaveLength(1);
  });
});

describe('the device of a domain', () => {
  it('stays in service when it raises a line that its driver has no use for', async () => {
    const bench = new SharingBench({ drivers: [registerDriver('park')] });
    for (const name of ['one', 'two']) bench.domain(name);
    const ring = await bench.queue(bench.process('one'), 'one', INSTANCE);
    bench.write('one', INSTANCE, registerAt.BELL, 1);
    bench.rest();
    expect(bench.snapshot('one', INSTANCE).interrupts.told).toBeGreaterThan(0);
    expect(ring.readStatus()).toEqual({ rx: 0, tx: 0 });
    ring.submit(copySqeOf({ bytes: 1000, pattern: 3 }));
    bench.rest();
    expect(ring.completions()).toHaveLength(1);
  });
});
