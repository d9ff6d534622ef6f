/**
 * What the owner of a vcoproc may do to it, and what of that is drawn: accesses to every register of the table and beside
 * it, in both widths; requests of every shape, well-formed and not; and looks at registers while one is in flight.
 */
import fc from 'fast-check';
import { limits } from '../../src/base/limits.js';
import { INPUT_BYTES, INPUTS_MAX } from './register-differential-driver.js';
import type { WrongWord } from './register-differential-sqe.js';

/** An access to one of a step's two registers, or so many bytes beside it. */
export interface Access {
  readonly op: 'read' | 'write';
  readonly which: 0 | 1;
  readonly beside: number;
  readonly width: 32 | 64;
  readonly value: number;
}

/** Two registers. */
export type Pair = readonly [number, number];

/** One request. Indices are taken modulo what there is. */
export interface Request {
  readonly format: number;
  readonly input: number;
  readonly bytes: number;
  readonly place: number;
  /** The room is as large as the format says that it must be, or this. */
  readonly roomBytes: number | null;
  readonly state: number;
  readonly streamNew: boolean;
  readonly final: boolean;
  readonly flush: number;
  /** A word of the SQE that says something else. */
  readonly wrong: WrongWord | null;
}

/** One step. Registers are indices into the table; one more than there are is far from all of them. */
export type Step =
  | { readonly kind: 'accesses'; readonly registers: Pair; readonly accesses: readonly Access[] }
  /** So many writes to two registers in turn: they cannot be merged, and may be too many to be stacked. */
  | { readonly kind: 'flood'; readonly registers: Pair; readonly count: number }
  | { readonly kind: 'request'; readonly request: Request; readonly looks: readonly number[] }
  /** The others go on for so many turns. */
  | { readonly kind: 'idle'; readonly turns: number };

const register = fc.nat(40);
/** One register twice: what follows one another to it may be merged. */
const pair = fc.oneof(
  fc.tuple(register, register),
  register.map((index): Pair => [index, index]),
);
const value = fc.oneof(fc.nat(255), fc.nat(0xffff_ffff), fc.maxSafeNat());
const access: fc.Arbitrary<Access> = fc.record({
  op: fc.constantFrom('read', 'write'),
  which: fc.constantFrom(0, 1),
  beside: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.constantFrom(-4, -1, 1, 2, 4, 8)),
  width: fc.constantFrom(32, 64),
  value,
});
const bytes = fc.oneof(
  fc.nat(3000),
  fc.nat(INPUT_BYTES),
  // Longer than a slice, most likely.
  fc.integer({ min: INPUT_BYTES, max: INPUTS_MAX * INPUT_BYTES }),
);
const request: fc.Arbitrary<Request> = fc.record({
  format: fc.nat(40),
  input: fc.nat(40),
  bytes,
  place: fc.nat(INPUT_BYTES),
  roomBytes: fc.option(fc.nat(4000), { freq: 6 }),
  state: fc.nat(1),
  streamNew: fc.boolean(),
  final: fc.boolean(),
  flush: fc.nat(3),
  wrong: fc.option(fc.record({ word: fc.nat(31), value: fc.oneof(fc.nat(8), value) }), { freq: 6 }),
});

/** One step of a program. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('accesses' as const),
      registers: pair,
      accesses: fc.array(access, { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('flood' as const),
      registers: pair,
      count: fc.oneof(fc.integer({ min: 2, max: 5 }), fc.nat(limits.STACKED_WRITES + 20)),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      request,
      looks: fc.array(register, { maxLength: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('idle' as const), turns: fc.nat(5) }) },
);
