/**
 * Page faults of devices: is each group and each stalled access answered exactly once, with the right code and in time,
 * whatever the device sends, the handler does, the queue loses or becomes of the process?
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type {
  IommuControl,
  PageRequestReceiver,
  PageRequestRecord,
  StallRecord,
} from '../../src/hw/iommu-driver/control.js';
import type { Access, FaultAnswer } from '../../src/kernel/fault-handler.js';
import { type FaultTarget, IoPageFaults } from '../../src/kernel/io-page-fault.js';
import { Bench, WAITING } from './bench.js';

const SUCCESS = 0;
const INVALID = 1;
const FAILURE = 15;
const VA = 0x10_0000_0000;
const { PAGE_REQUEST_TIMEOUT_NS: BOUND_NS } = limits;

/** A handler that answers when it is told to. */
class SlowTarget implements FaultTarget {
  quiet = false;
  readonly asked: { va: number; access: Access; done: (answer: FaultAnswer) => void }[] = [];

  handleFault(va: number, access: Access, done: (answer: FaultAnswer) => void): void {
    this.asked.push({ va, access, done });
  }
}

/** The table of questions alone: what comes in is called here, what goes out is noted. */
function desk() {
  const clock = new VirtualClock();
  const answers: string[] = [];
  let receiver: PageRequestReceiver | null = null;
  const iommu: Partial<IommuControl> = {
    onPageRequests: (given) => {
      receiver = given;
    },
    respond: ({ pasid, prgi, code }) => answers.push(`group ${pasid}/${prgi}: ${code}`),
    resume: ({ tag, retry }) => answers.push(`stall ${tag}: ${retry ? 'retry' : 'end'}`),
  };
  const targets = new Map([1, 2].map((pasid) => [pasid, new SlowTarget()]));
  const faults = new IoPageFaults({
    iommu: iommu as IommuControl,
    counters: { add: () => {} },
    clock,
    trace: null,
    find: (_deviceId, pasid) => targets.get(pasid) ?? null,
  });
  const member = (part: Partial<PageRequestRecord> = {}): void =>
    receiver!.pageRequested({
      ...{ deviceId: 0, pasid: 1, read: true, write: true, execute: false, privileged: false },
      ...{ last: true, prgi: 0, va: VA },
      ...part,
    });
  const stall = (part: Partial<StallRecord> = {}): void =>
    receiver!.stalled({ deviceId: 0, pasid: 1, va: VA, access: 'write', tag: 0, ...part });
  /** Time goes on by `ns`, and what is due by then happens. */
  const advance = (ns: number): void => {
    let isOver = false;
    clock.alarm(ns, () => {
      isOver = true;
    });
    while (!isOver) clock.step();
  };
  const lost = (): void => receiver!.requestsLost();
  return { clock, answers, targets, target: targets.get(1)!, faults, member, stall, advance, lost };
}

describe('a group', () => {
  it('is answered after its last member and its last handler, by the worst result, once', () => {
    const { answers, target, member, faults } = desk();
    for (const last of [false, false, true]) member({ last });
    target.asked[2]!.done('resolved');
    target.asked[0]!.done('refused');
    expect(answers).toEqual([]);
    target.asked[1]!.done('resolved');
    expect([answers, faults.openQuestions]).toEqual([['group 1/0: 1'], 0]);
  });

  it('without a last member is not answered before the bound, then with a failure, and late handlers change nothing', () => {
    const { answers, target, member, advance, faults } = desk();
    member({ last: false });
    target.asked[0]!.done('resolved');
    advance(BOUND_NS - 1);
    expect(answers).toEqual([]);
    advance(1);
    expect([answers, faults.openQuestions]).toEqual([[`group 1/0: ${FAILURE}`], 0]);
  });

  it('whose handler never answers is answered within the bound, and only once if it answers after all', () => {
    const { answers, target, member, advance } = desk();
    member({ prgi: 7 });
    advance(BOUND_NS);
    expect(answers).toEqual([`group 1/7: ${FAILURE}`]);
    target.asked[0]!.done('resolved');
    // The index is in use again, by another group: the late answer is not for that one.
    member({ prgi: 7, last: false });
    expect(answers).toHaveLength(1);
    member({ prgi: 7 });
    target.asked[1]!.done('resolved');
    target.asked[2]!.done('resolved');
    expect(answers).toEqual([`group 1/7: ${FAILURE}`, `group 1/7: ${SUCCESS}`]);
  });

  it('has a bound of its own, from its first member on, whatever others do', () => {
    const { answers, target, member, advance } = desk();
    member({ prgi: 1 });
    advance(BOUND_NS / 2);
    member({ prgi: 2 });
    member({ prgi: 3 });
    target.asked[1]!.done('resolved');
    advance(BOUND_NS / 2);
    expect(answers).toEqual([`group 1/2: ${SUCCESS}`, `group 1/1: ${FAILURE}`]);
    advance(BOUND_NS / 2);
    expect(answers).toEqual([`group 1/2: ${SUCCESS}`, `group 1/1: ${FAILURE}`, `group 1/3: ${FAILURE}`]);
  });

  it('two at once are two, also with one index under two PASIDs', () => {
    const { answers, targets, member } = desk();
    member({ pasid: 1, prgi: 4, last: false });
    member({ pasid: 2, prgi: 4, last: false });
    member({ pasid: 2, prgi: 4 });
    for (const { done } of targets.get(2)!.asked) done('resolved');
    expect(answers).toEqual(['group 2/4: 0']);
    for (const { done } of targets.get(1)!.asked) done('noMemory');
    member({ pasid: 1, prgi: 4 });
    targets.get(1)!.asked[1]!.done('resolved');
    expect(answers).toEqual(['group 2/4: 0', 'group 1/4: 1']);
  });

  it('of a process that is ending: a failure; of no process: invalid; a stop marker: nothing', () => {
    const { answers, target, member } = desk();
    target.quiet = true;
    member({ prgi: 1 });
    member({ prgi: 2, pasid: 9, last: false });
    member({ prgi: 2, pasid: 9 });
    member({ prgi: 3, pasid: -1 });
    member({ prgi: 4, read: false, write: false });
    expect(answers).toEqual([`group 1/1: ${FAILURE}`, 'group 9/2: 1', 'group -1/3: 1']);
  });

  it('asks for what the device wants: to fetch code is refused, a read is not asked as a write', () => {
    const { target, member } = desk();
    member({ prgi: 1, write: false });
    member({ prgi: 2 });
    member({ prgi: 3, execute: true });
    expect(target.asked.map(({ access }) => access)).toEqual(['read', 'write', 'execute']);
  });

  it('after an overflow is void if its last member has not come: a later one with its index starts empty (S22)', () => {
    const { answers, target, member, lost, advance, faults } = desk();
    member({ prgi: 1, last: false });
    member({ prgi: 2 });
    lost();
    expect(faults.openQuestions).toBe(1);
    target.asked[0]!.done('refused');
    member({ prgi: 1 });
    target.asked[2]!.done('resolved');
    target.asked[1]!.done('resolved');
    expect(answers).toEqual(['group 1/1: 0', 'group 1/2: 0']);
    advance(2 * BOUND_NS);
    expect(answers).toHaveLength(2);
  });

  it('beyond what one PASID may have waiting is refused without a handler, and others are served (V1)', () => {
    const { answers, targets, target, member } = desk();
    const most = limits.PAGE_REQUESTS_PER_PASID;
    for (let prgi = 0; prgi < most + 5; prgi++) member({ prgi });
    expect([target.asked.length, answers.length]).toEqual([most, 5]);
    member({ pasid: 2, prgi: 1 });
    expect(targets.get(2)!.asked).toHaveLength(1);
    target.asked[0]!.done('resolved');
    member({ prgi: 500 });
    expect(target.asked).toHaveLength(most + 1);
  });
});

describe('a stalled access', () => {
  it('is resumed once, by its tag: to try again, or to end', () => {
    const { answers, target, stall } = desk();
    for (const tag of [1, 2, 3]) stall({ tag });
    target.asked[1]!.done('refused');
    target.asked[0]!.done('resolved');
    target.asked[2]!.done('noMemory');
    expect(answers).toEqual(['stall 2: end', 'stall 1: retry', 'stall 3: end']);
  });

  it('of no process or of one that is ending ends at once', () => {
    const { answers, target, stall } = desk();
    stall({ tag: 1, pasid: -1 });
    stall({ tag: 2, pasid: 9 });
    target.quiet = true;
    stall({ tag: 3 });
    expect(answers).toEqual(['stall 1: end', 'stall 2: end', 'stall 3: end']);
  });

  it('whose handler never answers ends within the bound; an overflow changes nothing for it', () => {
    const { answers, target, stall, advance, lost } = desk();
    stall({ tag: 5 });
    lost();
    advance(BOUND_NS);
    expect(answers).toEqual(['stall 5: end']);
    target.asked[0]!.done('resolved');
    expect(answers).toHaveLength(1);
  });
});

describe('the end of a binding', () => {
  it('waits for what is being handled, drops what was never completed, and forgets both (S9, S10)', () => {
    const { answers, target, member, faults, advance } = desk();
    let idle = 0;
    member({ prgi: 1, last: false });
    member({ prgi: 2 });
    faults.whenIdle(0, 1, () => idle++);
    expect(idle).toBe(0);
    target.asked[1]!.done('resolved');
    expect([idle, faults.openQuestions, answers]).toEqual([1, 0, ['group 1/2: 0']]);
    target.asked[0]!.done('resolved');
    advance(2 * BOUND_NS);
    expect([idle, answers.length]).toEqual([1, 1]);
  });

  it('does not wait longer than the bound for a handler that never answers', () => {
    const { stall, member, faults, advance } = desk();
    let idle = 0;
    stall();
    member();
    faults.whenIdle(0, 1, () => idle++);
    faults.whenIdle(0, 2, () => idle++);
    expect(idle).toBe(1);
    advance(BOUND_NS);
    expect([idle, faults.openQuestions]).toEqual([2, 0]);
  });
});

it('whatever comes in whatever order, each group and each stall is answered once, within the bound', () => {
  const event = fc.oneof(
    fc.record({
      kind: fc.constant('member' as const),
      pasid: fc.integer({ min: 0, max: 3 }),
      prgi: fc.nat(2),
    }),
    fc.record({
      kind: fc.constant('stall' as const),
      pasid: fc.integer({ min: 0, max: 3 }),
      prgi: fc.nat(9),
    }),
    fc.record({
      kind: fc.constant('handled' as const),
      pasid: fc.integer({ min: 1, max: 2 }),
      prgi: fc.nat(20),
    }),
    fc.record({ kind: fc.constant('time' as const), pasid: fc.nat(0), prgi: fc.nat(3) }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const { answers, targets, member, stall, advance, faults } = desk();
      const [asked, since] = [new Map<string, number>(), new Map<string, number>()];
      let nowNs = 0;
      const ask = (name: string): boolean => {
        // Hardware does not use a name again while it waits for an answer.
        if ((asked.get(name) ?? 0) > count(answers, name)) return false;
        asked.set(name, (asked.get(name) ?? 0) + 1);
        since.set(name, nowNs);
        return true;
      };
      for (const { kind, pasid, prgi } of events) {
        if (kind === 'member' && ask(`group ${pasid}/${prgi}`)) {
          member({ pasid, prgi, last: false });
          member({ pasid, prgi });
        } else if (kind === 'stall' && ask(`stall ${prgi}`)) stall({ pasid, tag: prgi });
        else if (kind === 'handled') {
          const all = targets.get(pasid)!.asked;
          all.splice(prgi % Math.max(1, all.length), 1)[0]?.done(prgi % 2 === 0 ? 'resolved' : 'refused');
        } else if (kind === 'time') {
          nowNs += Math.round((prgi * BOUND_NS) / 3);
          advance(Math.round((prgi * BOUND_NS) / 3));
        }
        for (const [name, times] of asked) {
          const open = times - count(answers, name);
          expect(open === 0 || (open === 1 && nowNs - since.get(name)! <= BOUND_NS)).toBe(true);
        }
      }
      advance(BOUND_NS + 1);
      expect([...asked].every(([name, times]) => count(answers, name) === times)).toBe(true);
      expect(faults.openQuestions).toBe(0);
    }),
    { numRuns: 100 },
  );
});

function count(answers: readonly string[], name: string): number {
  return answers.filter((answer) => answer.startsWith(`${name}:`)).length;
}

describe('on the whole IOMMU', () => {
  function bound() {
    const bench = new Bench();
    const { path } = bench.addDevice();
    const user = bench.user();
    user.open(path);
    return { bench, path, user };
  }

  it('an overflow: every last member is answered once, by the IOMMU or by the kernel, and pages can be had again (S22)', () => {
    const { bench, user } = bound();
    const pages = limits.IOMMU_QUEUE_ENTRIES + 40;
    const va = user.demand(pages * PAGE_BYTES);
    bench.holdsInterrupts = true;
    let answeredAtOnce = 0;
    for (let page = 0; page < pages; page++) {
      const { response } = bench.requestPage({ pasid: 1, va: va + page * PAGE_BYTES, prgi: page });
      if (response !== null) answeredAtOnce += 1;
    }
    bench.interrupt();
    expect(answeredAtOnce).toBe(41);
    expect(bench.responses.length + answeredAtOnce).toBe(pages);
    expect(bench.deviceWrite(user, va + (pages - 1) * PAGE_BYTES, 1).ret).toBe(0);
  });

  it('a full queue of writes to pages that a fork shares is served without going deeper with each', () => {
    const { bench, path, user } = bound();
    const pages = 60;
    const va = user.demand(pages * PAGE_BYTES);
    user.fill(va, pages * PAGE_BYTES, 1);
    const users = [user, ...[1, 2, 3].map(() => user.child())];
    for (const each of users.slice(1)) each.open(path);
    bench.holdsInterrupts = true;
    for (let request = 0; request < 4 * pages; request++) {
      const at = va + Math.floor(request / 4) * PAGE_BYTES;
      bench.requestPage({ pasid: users[request % 4]!.pasid(), va: at, prgi: request });
    }
    bench.interrupt();
    expect(bench.responses.filter(({ code }) => code === SUCCESS)).toHaveLength(4 * pages);
    for (const each of users) expect(bench.ask(0, each.pasid(), va).w).toBe(true);
  });

  it('a process that ends with requests in the queue: each is answered once, and no page appears (S10)', () => {
    const { bench, user } = bound();
    const va = user.demand(4 * PAGE_BYTES);
    bench.holdsInterrupts = true;
    for (let page = 0; page < 4; page++)
      bench.requestPage({ pasid: 1, va: va + page * PAGE_BYTES, prgi: page });
    bench.holdsInterrupts = false;
    expect(user.exit().ret).toBe(0);
    expect(bench.responses.map(({ prgi }) => prgi)).toEqual([0, 1, 2, 3]);
    expect(bench.responses.every(({ code }) => code === FAILURE || code === INVALID)).toBe(true);
  });

  it('a process that ends while a fault waits: the fault is refused, then the process is gone', () => {
    const { bench, user } = bound();
    const va = user.demand(PAGE_BYTES);
    bench.deviceWrite(user, va, 1);
    user.child();
    bench.deviceRead(user, va);
    bench.holdsInvalidations = true;
    const write = bench.deviceWrite(user, va, 2);
    const exit = user.exit();
    expect([write.ret, exit.ret]).toEqual([WAITING, WAITING]);
    bench.acknowledge();
    expect([write.ret < 0, exit.ret, bench.device().waiting]).toEqual([true, 0, 0]);
  });

  it('a fault of one process that waits for a slow device does not hold up the faults of another', () => {
    const { bench, path, user } = bound();
    const va = user.demand(PAGE_BYTES);
    bench.deviceWrite(user, va, 1);
    user.child();
    bench.deviceRead(user, va);
    const other = bench.user();
    other.open(path);
    const page = other.demand(PAGE_BYTES);
    bench.holdsInvalidations = true;
    const slow = user.pageFault(va, 'write');
    expect(other.pageFault(page, 'write').ret).toBe(0);
    expect(slow.ret).toBe(WAITING);
    bench.acknowledge();
    expect(slow.ret).toBe(0);
  });
});
