// What does a device reach through its port, and what does it find when it may not?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { DmaFault } from '../../src/hw/device-model.js';
import { AWAITING_PAGE } from '../../src/hw/dma-port.js';
import { FAULT_MODELS } from '../../src/hw/fault-model.js';
import { PAGE_RESPONSE_INDICES } from '../../src/hw/instance-words.js';
import { permission } from '../../src/hw/translation-cache.js';
import { patternOf } from './copy-requests.js';
import { PortBench } from './port-bench.js';

const VA = 0x40_0000;
const PASID = 5;

describe.each(FAULT_MODELS)('reads and writes of a device with fault model %s', (faultModel) => {
  it('lengths and offsets around a page, over frames that are not neighbours, move exactly those bytes (I4)', () => {
    const bench = new PortBench(faultModel);
    const frames = [2, 0, 3, 1].map((page) => [page, bench.map(PASID, VA + page * PAGE_BYTES)] as const);
    const frameOf = new Map(frames);
    const dma = bench.dma(PASID);
    const at = fc.integer({ min: 0, max: 2 * PAGE_BYTES });
    const length = fc.oneof(
      fc.constantFrom(0, 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1),
      fc.nat(2 * PAGE_BYTES),
    );
    const property = fc.property(at, length, (offset, bytes) => {
      for (const frame of frameOf.values()) bench.memory.zero(frame, 1);
      const source = patternOf(bytes, offset & 0xff);
      bench.finish(dma.write(VA + offset, source));
      expect(Buffer.compare(bench.finish(dma.read(VA + offset, bytes)), source)).toBe(0);
      const all = Buffer.concat(
        [0, 1, 2, 3].map((page) => bench.memory.view(frameOf.get(page)!, PAGE_BYTES)),
      );
      const expected = new Uint8Array(4 * PAGE_BYTES);
      expected.set(source, offset);
      expect(Buffer.compare(all, expected)).toBe(0);
    });
    fc.assert(property);
  });

  it('nothing is asked of the IOMMU for nothing: zero bytes at any address succeed', () => {
    const bench = new PortBench(faultModel);
    for (const address of [0, VA, 2 ** 52, 2n ** 63n]) {
      expect(bench.finish(bench.dma(PASID).read(address, 0))).toHaveLength(0);
      bench.finish(bench.dma(PASID).write(address, new Uint8Array(0)));
    }
    expect(bench.requests).toEqual([]);
  });
});

describe('views', () => {
  it('a writable view is offered for contiguous pages that may be written, and for nothing else', () => {
    const bench = new PortBench();
    // Mapped first, so that no table is allocated between the frames of the other two.
    bench.map(PASID, VA + 2 * PAGE_BYTES, 'r');
    bench.map(PASID, VA);
    bench.map(PASID, VA + PAGE_BYTES);
    const dma = bench.dma(PASID);
    expect(dma.writableView(VA + 1, 2 * PAGE_BYTES - 1)).toHaveLength(2 * PAGE_BYTES - 1);
    expect(dma.writableView(VA + PAGE_BYTES, PAGE_BYTES + 1)).toBeNull();
    expect(dma.writableView(VA + 3 * PAGE_BYTES, 1)).toBeNull();
    expect(dma.writableView(VA, 0)).toBeNull();
    expect(dma.writableView(2n ** 60n, 1)).toBeNull();
    expect(bench.requests).toEqual([]);
  });
});

describe.each(FAULT_MODELS)('whose memory a device with fault model %s reaches', (faultModel) => {
  it('the same address under two PASIDs is two places (C5, R108)', () => {
    const bench = new PortBench(faultModel);
    bench.map(1, VA);
    bench.map(2, VA);
    bench.finish(bench.dma(1).write(VA, Buffer.from('one')));
    bench.finish(bench.dma(2).write(VA, Buffer.from('two')));
    expect(Buffer.from(bench.finish(bench.dma(1).read(VA, 3))).toString()).toBe('one');
    expect(Buffer.from(bench.finish(bench.dma(2).read(VA, 3))).toString()).toBe('two');
  });

  it('a PASID that names nobody reaches nothing, whatever others have cached', () => {
    const bench = new PortBench(faultModel);
    bench.map(1, VA);
    bench.finish(bench.dma(1).read(VA, 8));
    for (const pasid of [2, 77, limits.PASID_MAX]) {
      expect(bench.faultOf(bench.dma(pasid).read(VA, 8))).toBeInstanceOf(DmaFault);
    }
  });

  it.each([
    ['PASID 0', 0],
    ['no PASID', -1],
  ])('a request with %s is refused: it would be in the address space of the rings', (_name, pasid) => {
    const bench = new PortBench(faultModel);
    bench.map(-1, VA);
    expect(bench.port.translate(-1, VA, permission.READ)).toBeGreaterThan(0);
    expect(bench.port.translate(0, VA, permission.READ)).toBe(-1);
    expect(bench.faultOf(bench.dma(pasid).read(VA, 8))).toMatchObject({ address: VA, causeCode: 260 });
    expect(bench.faultOf(bench.dma(pasid).write(VA, Uint8Array.of(1)))).toMatchObject({ causeCode: 260 });
    expect(bench.dma(pasid).writableView(VA, 8)).toBeNull();
    expect(bench.requests).toEqual([]);
  });

  it('a table that names a frame outside the machine gives a fault, not an access', () => {
    const bench = new PortBench(faultModel);
    bench.map(PASID, VA, 'rw', 0x4000_0000);
    expect(bench.faultOf(bench.dma(PASID).read(VA, 8)).causeCode).toBeGreaterThan(0);
    expect(bench.dma(PASID).writableView(VA, 8)).toBeNull();
  });

  it('any 64-bit address ends in an answer: mapped bytes or a fault that names it', () => {
    const bench = new PortBench(faultModel);
    bench.map(PASID, VA);
    const edges = [2n ** 38n, 2n ** 39n, 2n ** 44n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
    const around = edges
      .flatMap((edge) => [edge - 1n, edge, edge + 1n])
      .map((value) => BigInt.asUintN(64, value));
    const address = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constantFrom(...around));
    const property = fc.property(address, fc.constantFrom(1, 8, PAGE_BYTES + 1), (wide, bytes) => {
      const where = wide < 2n ** 53n ? Number(wide) : wide;
      const mapped = wide >= BigInt(VA) && wide + BigInt(bytes) <= BigInt(VA + PAGE_BYTES);
      if (mapped) return;
      for (const access of [
        bench.dma(PASID).read(where, bytes),
        bench.dma(PASID).write(where, new Uint8Array(bytes)),
      ]) {
        const fault = bench.faultOf(access);
        expect(fault).toBeInstanceOf(DmaFault);
        expect(BigInt.asUintN(64, BigInt(fault.address) - wide)).toBeLessThan(BigInt(bytes));
      }
    });
    fc.assert(property, { numRuns: 300 });
  });
});

describe('page requests (C6)', () => {
  it('an access waits for its page and goes on when it has come', () => {
    const bench = new PortBench();
    bench.table(PASID);
    bench.answer = ({ va }) => {
      bench.map(PASID, va);
      return 0;
    };
    bench.finish(bench.dma(PASID).write(VA + 100, patternOf(3 * PAGE_BYTES)));
    expect(bench.requests.map(({ va, write }) => [va - VA, write])).toEqual(
      [0, 1, 2, 3].map((page) => [page * PAGE_BYTES, true]),
    );
    expect(bench.requests.map(({ last }) => last)).toEqual([false, false, false, true]);
    expect(
      Buffer.compare(
        bench.finish(bench.dma(PASID).read(VA + 100, 3 * PAGE_BYTES)),
        patternOf(3 * PAGE_BYTES),
      ),
    ).toBe(0);
  });

  it('yields AWAITING_PAGE for as long as no answer has come', () => {
    const bench = new PortBench();
    bench.table(PASID);
    bench.answer = () => null;
    const dma = bench.dma(PASID);
    const access = dma.read(VA, 8);
    for (let times = 0; times < 3; times++) {
      expect(access.next()).toEqual({ done: false, value: AWAITING_PAGE });
      expect(dma.waiting).toBe(true);
      bench.service();
    }
    bench.map(PASID, VA);
    bench.respond(bench.requests[0]!, 0);
    expect(dma.waiting).toBe(false);
    expect(bench.finish(access)).toHaveLength(8);
  });

  it.each([
    ['invalid request', 1],
    ['response failure', 15],
  ])('"%s" ends the access with a fault of cause 0 at the page', (_name, code) => {
    const bench = new PortBench();
    bench.table(PASID);
    bench.answer = () => code;
    expect(bench.faultOf(bench.dma(PASID).read(VA, 8))).toMatchObject({
      address: VA,
      access: 'read',
      causeCode: 0,
    });
  });

  it('a liar that answers success and maps nothing is asked a bounded number of times', () => {
    const bench = new PortBench();
    bench.table(PASID);
    bench.answer = () => 0;
    expect(bench.faultOf(bench.dma(PASID).read(VA, 8))).toBeInstanceOf(DmaFault);
    expect(bench.requests).toHaveLength(limits.PAGE_REQUEST_RETRIES);
  });

  it('a write to a page that may only be read asks for permission, and does not store without it', () => {
    const bench = new PortBench();
    const frame = bench.map(PASID, VA, 'r');
    expect(bench.faultOf(bench.dma(PASID).write(VA, Buffer.from('no')))).toMatchObject({ access: 'write' });
    expect(bench.requests).toMatchObject([{ write: true, va: VA }]);
    expect(bench.memory.load32(frame)).toBe(0);
  });

  it('a fault in the middle leaves the bytes before it stored and everything after as it was', () => {
    const bench = new PortBench();
    const frames = [0, 1].map((page) => bench.map(PASID, VA + page * PAGE_BYTES));
    const beyond = bench.map(PASID, VA + 3 * PAGE_BYTES);
    const source = new Uint8Array(4 * PAGE_BYTES).fill(0xaa);
    expect(bench.faultOf(bench.dma(PASID).write(VA, source)).address).toBe(VA + 2 * PAGE_BYTES);
    for (const frame of frames)
      expect(bench.memory.view(frame, PAGE_BYTES).every((byte) => byte === 0xaa)).toBe(true);
    expect(bench.memory.view(beyond, PAGE_BYTES).every((byte) => byte === 0)).toBe(true);
  });

  it('an abandoned access frees its group when the late answer comes, so groups never run out', () => {
    const bench = new PortBench();
    bench.table(PASID);
    bench.answer = () => null;
    for (let round = 0; round < 600; round++) {
      const dma = bench.dma(PASID);
      const access = dma.read(VA, 8);
      expect(access.next().value).toBe(AWAITING_PAGE);
      dma.abandon();
      bench.service();
      bench.respond(bench.requests.at(-1)!, 1);
    }
    bench.answer = () => 1;
    expect(bench.faultOf(bench.dma(PASID).read(VA, 8))).toBeInstanceOf(DmaFault);
  });
});

describe('a group is answered exactly once', () => {
  it('whatever happens to the queue, and to the device, between its members (S22)', () => {
    const moment = fc.constantFrom('nothing', 'nothing', 'flood', 'service', 'gone');
    const property = fc.property(fc.array(moment, { minLength: 1, maxLength: 30 }), (moments) => {
      const bench = new PortBench();
      bench.table(PASID);
      const mapped = new Set<number>();
      bench.answer = ({ va }) => {
        if (!mapped.has(va)) bench.map(PASID, va);
        mapped.add(va);
        return 0;
      };
      let groups = 0;
      bench.beforeMember = (last) => {
        const act = moments.shift();
        if (act === 'flood') bench.flood(limits.IOMMU_QUEUE_ENTRIES);
        if (act === 'service') bench.service();
        if (act === 'gone') bench.clearContext();
        if (last) groups += 1;
      };
      const access = bench.dma(PASID).write(VA, patternOf(6 * PAGE_BYTES));
      const outcome = outcomeOf(() => bench.finish(access));
      bench.service();
      expect(outcome === 'done' || outcome instanceof DmaFault).toBe(true);
      expect(bench.responses.automatic + bench.responses.sent).toBe(groups);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('by one response, when its first members are lost and its last alone is queued', () => {
    const bench = new PortBench();
    bench.table(PASID);
    const lasts: number[] = [];
    bench.answer = ({ va, prgi, last }) => {
      if (last) lasts.push(prgi);
      bench.map(PASID, va);
      return 0;
    };
    let members = 0;
    bench.beforeMember = () => {
      members += 1;
      if (members === 2) bench.flood(limits.IOMMU_QUEUE_ENTRIES);
      if (members === 4) bench.service();
    };
    const source = patternOf(4 * PAGE_BYTES);
    bench.finish(bench.dma(PASID).write(VA, source));
    // The first group lost its members 2 and 3; they were asked for again, in the second.
    expect([bench.responses, lasts]).toEqual([{ automatic: 0, sent: 2 }, [0, 1]]);
    expect(Buffer.compare(bench.finish(bench.dma(PASID).read(VA, source.length)), source)).toBe(0);
  });
});

/** 'done', or what was thrown. */
function outcomeOf(act: () => unknown): unknown {
  try {
    act();
    return 'done';
  } catch (error) {
    return error;
  }
}

/** Makes every page that is asked for present. */
function mapsWhatIsAsked(bench: PortBench): void {
  const frame = bench.frame();
  bench.answer = ({ va }) => {
    bench.map(PASID, va, 'rw', frame);
    return 0;
  };
  bench.answerStall = ({ va }) => {
    bench.map(PASID, va, 'rw', frame);
    return true;
  };
}

describe.each(['pageRequests', 'stall'] as const)('indices of responses, fault model %s', (faultModel) => {
  const asked = (bench: PortBench): number[] => [
    ...bench.requests.map(({ prgi }) => prgi),
    ...bench.stalls.map(({ tag }) => tag),
  ];

  it('an engine started after one that died takes no response to a question of the dead one', () => {
    const bench = new PortBench(faultModel);
    bench.table(PASID);
    bench.answer = () => null;
    bench.answerStall = () => null;
    expect(bench.dma(PASID).read(VA, 8).next().value).toBe(AWAITING_PAGE);
    bench.service();
    const [owed] = asked(bench);
    bench.restartEngine();
    mapsWhatIsAsked(bench);
    let page = 1;
    const readOn = (count: number): void => {
      for (let times = 0; times < count; times++) {
        expect(bench.finish(bench.dma(PASID).read(VA + page++ * PAGE_BYTES, 8))).toHaveLength(8);
      }
    };
    readOn(2 * PAGE_RESPONSE_INDICES);
    expect(asked(bench).filter((index) => index === owed)).toHaveLength(1);
    // The late refusal meets nobody, and its index serves again.
    if (faultModel === 'stall') bench.resume(owed!, false);
    else bench.respond(bench.requests[0]!, 1);
    readOn(1);
    const free = Array.from({ length: PAGE_RESPONSE_INDICES }, () => bench.port.responses.take());
    expect([free.includes(owed!), free.includes(-1)]).toEqual([true, false]);
  });

  it('a response that nobody asked for is ignored, under any index', () => {
    const bench = new PortBench(faultModel);
    bench.table(PASID);
    for (let index = 0; index < PAGE_RESPONSE_INDICES; index++) {
      if (faultModel === 'stall') bench.driver.resume({ deviceId: 3, tag: index, retry: index % 2 === 0 });
      bench.driver.respond({ deviceId: 3, pasid: PASID, prgi: index, code: 15 });
      bench.service();
    }
    mapsWhatIsAsked(bench);
    expect(bench.finish(bench.dma(PASID).read(VA, 8))).toHaveLength(8);
  });

  it('run out when nobody answers, and then accesses fault instead of waiting, but only where a page is absent', () => {
    const bench = new PortBench(faultModel);
    bench.map(PASID, VA);
    bench.answer = () => null;
    bench.answerStall = () => null;
    for (let each = 1; each <= PAGE_RESPONSE_INDICES; each++) {
      const dma = bench.dma(PASID);
      expect(dma.read(VA + each * PAGE_BYTES, 8).next().value).toBe(AWAITING_PAGE);
      dma.abandon();
      bench.service();
    }
    expect(new Set(asked(bench)).size).toBe(PAGE_RESPONSE_INDICES);
    expect(
      outcomeOf(() =>
        bench
          .dma(PASID)
          .read(VA - PAGE_BYTES, 8)
          .next(),
      ),
    ).toBeInstanceOf(DmaFault);
    expect(bench.finish(bench.dma(PASID).read(VA, 8))).toHaveLength(8);
  });
});

describe('stalled accesses', () => {
  it('an access stalls at each page that is absent, and goes on when it is told to try again', () => {
    const bench = new PortBench('stall');
    bench.table(PASID);
    bench.answerStall = ({ va }) => {
      bench.map(PASID, va);
      return true;
    };
    const source = patternOf(3 * PAGE_BYTES);
    bench.finish(bench.dma(PASID).write(VA + 100, source));
    expect(bench.stalls).toMatchObject(
      [0, 1, 2, 3].map((page) => ({
        deviceId: 3,
        pasid: PASID,
        va: VA + page * PAGE_BYTES,
        access: 'write',
      })),
    );
    expect(Buffer.compare(bench.finish(bench.dma(PASID).read(VA + 100, source.length)), source)).toBe(0);
    expect([bench.requests, bench.driver.faults.toArray()]).toEqual([[], []]);
  });

  it('yields AWAITING_PAGE for as long as nobody answers', () => {
    const bench = new PortBench('stall');
    bench.table(PASID);
    bench.answerStall = () => null;
    const dma = bench.dma(PASID);
    const access = dma.read(VA, 8);
    for (let times = 0; times < 3; times++) {
      expect(access.next()).toEqual({ done: false, value: AWAITING_PAGE });
      expect(dma.waiting).toBe(true);
      bench.service();
    }
    bench.map(PASID, VA);
    bench.resume(bench.stalls[0]!.tag, true);
    expect(dma.waiting).toBe(false);
    expect(bench.finish(access)).toHaveLength(8);
    expect(bench.stalls).toHaveLength(1);
  });

  it('an answer that comes before the access has noticed that it stalls is taken all the same', () => {
    const bench = new PortBench('stall');
    bench.table(PASID);
    mapsWhatIsAsked(bench);
    bench.onDeviceInterrupt = () => bench.service();
    expect(bench.dma(PASID).read(VA, 8).next()).toMatchObject({ done: true });
    expect(bench.stalls).toHaveLength(1);
  });

  it('"abort" ends the access with a fault of cause 0 at the page, and leaves the bytes before it stored', () => {
    const bench = new PortBench('stall');
    const frame = bench.map(PASID, VA);
    const source = new Uint8Array(2 * PAGE_BYTES).fill(0xaa);
    const fault = bench.faultOf(bench.dma(PASID).write(VA, source));
    expect(fault).toMatchObject({ address: VA + PAGE_BYTES, access: 'write', causeCode: 0 });
    expect(bench.memory.view(frame, PAGE_BYTES).every((byte) => byte === 0xaa)).toBe(true);
  });

  it('a liar that says "try again" and maps nothing is asked a bounded number of times', () => {
    const bench = new PortBench('stall');
    bench.table(PASID);
    bench.answerStall = () => true;
    expect(bench.faultOf(bench.dma(PASID).read(VA, 8))).toBeInstanceOf(DmaFault);
    expect(bench.stalls).toHaveLength(limits.PAGE_REQUEST_RETRIES);
  });

  it('a write to a page that may only be read stalls, and does not store without permission', () => {
    const bench = new PortBench('stall');
    const frame = bench.map(PASID, VA, 'r');
    bench.finish(bench.dma(PASID).read(VA, 8));
    expect(bench.faultOf(bench.dma(PASID).write(VA, Buffer.from('no')))).toMatchObject({ access: 'write' });
    expect(bench.stalls).toMatchObject([{ access: 'write', va: VA }]);
    expect(bench.memory.load32(frame)).toBe(0);
  });

  it('an abandoned access frees its tag when the late answer comes, so tags never run out', () => {
    const bench = new PortBench('stall');
    bench.table(PASID);
    bench.answerStall = () => null;
    for (let round = 0; round < PAGE_RESPONSE_INDICES + 100; round++) {
      const dma = bench.dma(PASID);
      expect(dma.read(VA, 8).next().value).toBe(AWAITING_PAGE);
      dma.abandon();
      bench.service();
      bench.resume(bench.stalls.at(-1)!.tag, round % 2 === 0);
    }
    bench.answerStall = () => false;
    expect(bench.faultOf(bench.dma(PASID).read(VA, 8))).toBeInstanceOf(DmaFault);
  });

  it('a full fault queue ends the access with its cause at once; those that are stalled are not lost', () => {
    const bench = new PortBench('stall');
    bench.table(PASID);
    mapsWhatIsAsked(bench);
    const stalled = bench.dma(PASID).read(VA, 8);
    expect(stalled.next().value).toBe(AWAITING_PAGE);
    bench.floodFaults();
    const late = bench.dma(PASID).read(VA + PAGE_BYTES, 8);
    expect(outcomeOf(() => late.next())).toMatchObject({ address: VA + PAGE_BYTES, causeCode: 13 });
    expect(bench.finish(stalled)).toHaveLength(8);
    expect(bench.finish(bench.dma(PASID).read(VA + PAGE_BYTES, 8))).toHaveLength(8);
  });
});

describe('a device without page requests and stall', () => {
  it('meets the cause of its fault at once, recorded once', () => {
    const bench = new PortBench('none');
    bench.map(PASID, VA, 'r');
    const absent = bench.dma(PASID).read(VA + PAGE_BYTES, 8);
    expect(outcomeOf(() => absent.next())).toMatchObject({ address: VA + PAGE_BYTES, causeCode: 13 });
    const forbidden = bench.dma(PASID).write(VA, Uint8Array.of(1));
    expect(outcomeOf(() => forbidden.next())).toMatchObject({ address: VA, causeCode: 15 });
    bench.service();
    expect(bench.driver.faults.toArray().map(({ cause, transaction }) => [cause, transaction])).toEqual([
      [13, 2],
      [15, 3],
    ]);
    expect([bench.requests, bench.stalls]).toEqual([[], []]);
  });

  it('takes an address beyond 2^53 to the answer of the specification', () => {
    const bench = new PortBench('none');
    bench.table(PASID);
    expect(bench.faultOf(bench.dma(PASID).read(2n ** 63n, 8)).causeCode).toBe(13);
  });
});

describe.each(['stall', 'none'] as const)('without an ATC, fault model %s', (faultModel) => {
  it('a look whether a view is to be had leaves no fault and stalls nothing', () => {
    const bench = new PortBench(faultModel);
    bench.map(PASID, VA, 'r');
    const dma = bench.dma(PASID);
    for (const va of [VA, VA + PAGE_BYTES]) {
      expect(dma.readableView(va, 8)).toBeNull();
      expect(dma.writableView(va, 8)).toBeNull();
    }
    bench.service();
    expect([bench.stalls, bench.driver.faults.toArray()]).toEqual([[], []]);
  });

  it('a view is offered of what was accessed before, and for that kind of access only', () => {
    const bench = new PortBench(faultModel);
    bench.map(PASID, VA + PAGE_BYTES, 'r');
    bench.map(PASID, VA);
    const dma = bench.dma(PASID);
    bench.finish(dma.read(VA + PAGE_BYTES, 8));
    bench.finish(dma.write(VA, patternOf(16)));
    expect(dma.readableView(VA + 4, 4)).toEqual(patternOf(16).subarray(4, 8));
    expect(dma.writableView(VA, PAGE_BYTES)).toHaveLength(PAGE_BYTES);
    expect(dma.readableView(VA + PAGE_BYTES, PAGE_BYTES)).toHaveLength(PAGE_BYTES);
    expect(dma.writableView(VA + PAGE_BYTES, 1)).toBeNull();
  });

  it('a page taken away is out of reach at once, and its frame free when the engine has yielded (R131)', () => {
    const bench = new PortBench(faultModel);
    const frame = bench.map(PASID, VA);
    const dma = bench.dma(PASID);
    bench.finish(dma.write(VA, Buffer.from('mine')));
    const view = dma.writableView(VA, 4)!;
    let done = false;
    bench.unmap(PASID, VA, () => {
      done = true;
    });
    bench.service();
    // A native call may still be writing into the view of this step.
    view.set(Buffer.from('late'));
    expect([done, dma.writableView(VA, 4), bench.port.translate(PASID, VA, permission.READ)]).toEqual([
      false,
      null,
      -1,
    ]);
    bench.port.acknowledge();
    bench.service();
    expect(done).toBe(true);
    bench.memory.zero(frame, 1);
    expect(bench.faultOf(dma.write(VA, Buffer.from('no')))).toBeInstanceOf(DmaFault);
    expect(bench.memory.load32(frame)).toBe(0);
  });
});

describe('invalidation', () => {
  it('a page taken away is out of reach at once, although the device has not acknowledged (R131)', () => {
    const bench = new PortBench();
    const frame = bench.map(PASID, VA);
    bench.finish(bench.dma(PASID).write(VA, Buffer.from('mine')));
    let done = false;
    bench.unmap(PASID, VA, () => {
      done = true;
    });
    bench.service();
    expect(bench.port.translate(PASID, VA, permission.READ)).toBe(-1);
    expect(bench.dma(PASID).writableView(VA, 4)).toBeNull();
    const access = bench.dma(PASID).write(VA, Buffer.from('late'));
    // Its page request is answered after the invalidation, which is acknowledged here and no earlier.
    expect(access.next().value).toBe(AWAITING_PAGE);
    expect(done).toBe(false);
    bench.port.acknowledge();
    expect(bench.faultOf(access)).toBeInstanceOf(DmaFault);
    expect(Buffer.from(bench.memory.view(frame, 4)).toString()).toBe('mine');
  });

  it('is over when the engine has acknowledged between two steps, and not before', () => {
    const bench = new PortBench();
    bench.map(PASID, VA);
    bench.finish(bench.dma(PASID).read(VA, 8));
    let done = false;
    bench.unmap(PASID, VA, () => {
      done = true;
    });
    bench.service();
    expect(done).toBe(false);
    bench.port.acknowledge();
    bench.service();
    expect(done).toBe(true);
    const { acknowledgements } = bench;
    bench.port.acknowledge();
    expect(bench.acknowledgements).toBe(acknowledgements);
  });

  it('once an invalidation is over the old translation is gone, through any sequence of mapping and access', () => {
    const step = fc.record({
      act: fc.constantFrom('map', 'unmap', 'read', 'acknowledge'),
      pasid: fc.constantFrom(1, 2),
      page: fc.nat(1),
    });
    const property = fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
      const bench = new PortBench();
      const mapped = new Map<string, number>();
      const leaving = new Set<number>();
      for (const pasid of [1, 2]) bench.table(pasid);
      for (const { act, pasid, page } of steps) {
        const va = VA + page * PAGE_BYTES;
        const key = `${pasid} ${page}`;
        if (act === 'map' && !mapped.has(key)) mapped.set(key, bench.map(pasid, va));
        const frame = mapped.get(key);
        if (act === 'unmap' && frame !== undefined) {
          mapped.delete(key);
          // Until it is over, the frame may still be reached: that is why nobody gets it before.
          leaving.add(frame);
          bench.unmap(pasid, va, () => leaving.delete(frame));
          bench.service();
        }
        if (act === 'acknowledge') {
          bench.port.acknowledge();
          bench.service();
        }
        if (act !== 'read') continue;
        const got = bench.port.translate(pasid, va, permission.READ);
        if (!leaving.has(got)) expect(got).toBe(frame ?? -1);
      }
    });
    fc.assert(property, { numRuns: 100 });
  });
});
