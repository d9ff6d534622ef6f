// Do the accounts of a coproc sum to the time that has passed, at any moment?
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Account, Ledger } from '../../src/coproc/ledger.js';
import { sumOf } from './bench.js';

const account: fc.Arbitrary<Account> = fc.oneof(
  fc.constantFrom<Account>({ vcoproc: null, kind: 'idle' }, { vcoproc: null, kind: 'switch' }),
  fc.record({
    vcoproc: fc.nat(3),
    kind: fc.constantFrom('run' as const, 'denied' as const, 'switch' as const, 'emulation' as const),
  }),
);

it('every ns is booked once: whoever pays, whoever goes, whenever one looks', () => {
  const step = fc.record({ ns: fc.nat(1_000_000), next: account, gone: fc.option(fc.nat(3)) });
  const property = fc.property(
    fc.nat(1_000_000),
    fc.array(step, { maxLength: 50, size: 'max' }),
    (startNs, steps) => {
      const ledger = new Ledger(startNs);
      let nowNs = startNs;
      let paying: Account = { vcoproc: null, kind: 'idle' };
      for (const { ns, next, gone } of steps) {
        nowNs += ns;
        expect(sumOf(ledger.snapshot(nowNs))).toBe(nowNs - startNs);
        expect(ledger.turnTo(next, nowNs)).toEqual({ account: paying, ns });
        paying = next;
        if (gone !== null) ledger.forget(gone);
        const snapshot = ledger.snapshot(nowNs);
        expect([sumOf(snapshot), snapshot.totalNs]).toEqual([nowNs - startNs, nowNs - startNs]);
        if (gone !== null) expect(snapshot.vcoprocs.get(gone)?.run ?? 0).toBe(0);
      }
    },
  );
  fc.assert(property, { numRuns: 200 });
});

it('a look changes nothing', () => {
  const ledger = new Ledger(0);
  ledger.turnTo({ vcoproc: 1, kind: 'run' }, 10);
  expect(ledger.snapshot(30).vcoprocs.get(1)?.run).toBe(20);
  expect(ledger.snapshot(30)).toEqual(ledger.snapshot(30));
  expect(ledger.turnTo({ vcoproc: null, kind: 'idle' }, 40)).toMatchObject({ ns: 30 });
});
