// Does the kernel hear of every access that ends, and never before it has?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { ACCESS_EPOCH_WORDS, AccessEpoch, AccessEpochs } from '../../src/hw/access-epoch.js';

/** Both sides on one thread: what the threads of a machine do in turns. */
class Sides {
  readonly words = new Int32Array(new SharedArrayBuffer(ACCESS_EPOCH_WORDS * 4));
  readonly kernel = new AccessEpochs(this.words);
  wakes = 0;

  user(pid: number): AccessEpoch {
    return new AccessEpoch({ words: this.words, pid, wakeKernel: () => this.wakes++ });
  }

  attached(pid: number): AccessEpoch {
    this.kernel.attach(pid);
    return this.user(pid);
  }

  /** Asks the kernel side to wait; the answer says whether it is over. */
  leave(pid: number): () => boolean {
    let calls = 0;
    this.kernel.leave(pid, () => calls++);
    return () => {
      expect(calls).toBeLessThanOrEqual(1);
      return calls === 1;
    };
  }
}

describe('the kernel side', () => {
  it('does not wait for a thread that is in no access, nor for a process without one', () => {
    const sides = new Sides();
    const user = sides.attached(1);
    user.enter();
    user.leave();
    expect(sides.leave(1)()).toBe(true);
    expect(sides.leave(2)()).toBe(true);
    expect([sides.kernel.isWaiting, sides.wakes]).toEqual([false, 0]);
  });

  it('waits for the access under way and for no later one', () => {
    const sides = new Sides();
    const user = sides.attached(1);
    user.enter();
    const isOver = sides.leave(1);
    sides.kernel.service();
    expect([isOver(), sides.kernel.isWaiting]).toEqual([false, true]);
    user.leave();
    expect([isOver(), sides.wakes]).toEqual([false, 1]);
    user.enter();
    sides.kernel.service();
    expect([isOver(), sides.kernel.isWaiting]).toEqual([true, false]);
    user.leave();
    expect(sides.wakes).toBe(1);
  });

  it('two that wait for one access, or for two of one thread, are each told once', () => {
    const sides = new Sides();
    const user = sides.attached(1);
    user.enter();
    const early = [sides.leave(1), sides.leave(1)];
    user.leave();
    user.enter();
    const late = sides.leave(1);
    sides.kernel.service();
    expect([...early, late].map((isOver) => isOver())).toEqual([true, true, false]);
    user.leave();
    expect(sides.wakes).toBe(2);
    sides.kernel.service();
    expect(late()).toBe(true);
  });

  it('may be asked again by whoever is told', () => {
    const sides = new Sides();
    const user = sides.attached(1);
    user.enter();
    let second: (() => boolean) | null = null;
    sides.kernel.leave(1, () => {
      second = sides.leave(1);
    });
    user.leave();
    user.enter();
    sides.kernel.service();
    expect(second!()).toBe(false);
    user.leave();
    expect(sides.wakes).toBe(2);
    sides.kernel.service();
    expect(second!()).toBe(true);
  });

  it('does not wait for a thread that ended inside an access, then or later', () => {
    const sides = new Sides();
    sides.attached(1).enter();
    const other = sides.attached(2);
    other.enter();
    const [ended, alive] = [sides.leave(1), sides.leave(2)];
    sides.kernel.forget(1);
    expect([ended(), alive(), sides.leave(1)()]).toEqual([true, false, true]);
  });

  it('gives the next process of that number words that say that nobody is inside', () => {
    const sides = new Sides();
    sides.attached(1).enter();
    const isOver = sides.leave(1);
    sides.kernel.forget(1);
    expect(isOver()).toBe(true);
    const next = sides.attached(1);
    expect(sides.leave(1)()).toBe(true);
    next.enter();
    next.leave();
    expect(sides.wakes).toBe(0);
  });

  it('counts wrap: an access at the end of the count is waited for like any other', () => {
    const sides = new Sides();
    const user = sides.attached(1);
    sides.words[16] = -2;
    user.enter();
    const isOver = sides.leave(1);
    sides.kernel.service();
    expect(isOver()).toBe(false);
    user.leave();
    expect(sides.words[16]).toBe(0);
    sides.kernel.service();
    expect(isOver()).toBe(true);
  });
});

describe('the user side', () => {
  it('an access inside an access is our own bug and stops', () => {
    const user = new Sides().attached(1);
    user.enter();
    expect(() => user.enter()).toThrow('broken invariant: one access at a time');
  });

  it('the first and the last process have words of their own', () => {
    const sides = new Sides();
    const [first, last] = [sides.attached(1), sides.attached(limits.PROCESSES_MAX)];
    first.enter();
    expect(sides.leave(limits.PROCESSES_MAX)()).toBe(true);
    last.enter();
    first.leave();
    expect([sides.leave(1)(), sides.leave(limits.PROCESSES_MAX)(), sides.wakes]).toEqual([true, false, 0]);
    last.leave();
    expect(sides.wakes).toBe(1);
  });
});

it('any order of accesses, changes, looks and ends: nobody is told early, nobody is forgotten', () => {
  const pid = fc.integer({ min: 1, max: 3 });
  const step = fc.record({ what: fc.constantFrom('move', 'move', 'leave', 'look', 'end'), pid });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const sides = new Sides();
    const users = new Map([1, 2, 3].map((of) => [of, { epoch: sides.attached(of), inside: 0, accesses: 0 }]));
    let waits: { pid: number; access: number; isOver: () => boolean }[] = [];
    const ended = new Set<number>();
    const mustWait = (of: number, access: number): boolean =>
      !ended.has(of) && users.get(of)!.inside === access;
    for (const { what, pid: of } of steps) {
      const user = users.get(of)!;
      if (what === 'look') {
        sides.kernel.service();
        for (const { pid: at, access, isOver } of waits) expect(isOver()).toBe(!mustWait(at, access));
        waits = waits.filter(({ isOver }) => !isOver());
        expect(sides.kernel.isWaiting).toBe(waits.length > 0);
      } else if (what === 'leave') {
        const access = user.inside;
        const isOver = sides.leave(of);
        expect(isOver()).toBe(access === 0 || ended.has(of));
        if (!isOver()) waits.push({ pid: of, access, isOver });
      } else if (what === 'end') {
        if (!ended.has(of)) sides.kernel.forget(of);
        ended.add(of);
      } else if (!ended.has(of)) move(user, of);
    }

    function move(user: { epoch: AccessEpoch; inside: number; accesses: number }, of: number): void {
      if (user.inside === 0) {
        user.epoch.enter();
        user.inside = ++user.accesses;
        return;
      }
      const before = sides.wakes;
      const isAwaited = waits.some(({ pid: at, isOver }) => at === of && !isOver());
      user.epoch.leave();
      user.inside = 0;
      expect(sides.wakes - before).toBe(isAwaited ? 1 : 0);
    }
  });
  fc.assert(property, { numRuns: 500 });
});
