/**
 * Assertions for our own invariants. They stay on in every build: a broken invariant stops the machine where it
 * broke and says so. A caller's mistake is never an assertion, it is a typed error (errors.ts).
 */

/** Thrown when an invariant of this program is broken: a bug of ours, never the caller's. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Stops with `what` when `condition` is false. `what` says what was expected, in one phrase. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new InvariantError(`broken invariant: ${what}`);
}

/** Marks a branch that the types rule out. */
export function unreachable(value: never): never {
  throw new InvariantError(`broken invariant: unexpected case ${String(value)}`);
}
