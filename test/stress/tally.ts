/**
 * What a stress run has seen: operations, wrong bytes, and operations that never ended. An operation hangs when it has
 * not ended `HANG_MS` after its start; real machines are slow now and then, so the bound is generous.
 */

const HANG_MS = 30_000;

/** An operation that has not ended. */
interface Pending {
  readonly what: string;
  readonly sinceMs: number;
}

export class Tally {
  operations = 0;
  wrongBytes = 0;
  /** The first things that were wrong, in words. */
  readonly findings: string[] = [];
  readonly #pending = new Set<Pending>();

  /** Operations that should have ended. */
  hangs(): string[] {
    const before = performance.now() - HANG_MS;
    return [...this.#pending].filter(({ sinceMs }) => sinceMs < before).map(({ what }) => what);
  }

  /** Counts an operation, from now until it ends. */
  async count<T>(what: string, operation: Promise<T>): Promise<T> {
    const pending = { what, sinceMs: performance.now() };
    this.#pending.add(pending);
    try {
      return await operation;
    } finally {
      this.#pending.delete(pending);
      this.operations += 1;
    }
  }

  /** Compares every byte. */
  compare(found: Uint8Array, expected: Uint8Array, where: string): void {
    if (Buffer.compare(found, expected) === 0) return;
    const wrong = [...found.keys()].filter((at) => found[at] !== expected[at]);
    const [at] = wrong;
    this.wrong(
      wrong.length,
      `${where}: byte ${at} is ${found[at!]}, not ${expected[at!]} (${wrong.length} are wrong)`,
    );
  }

  /** That many bytes at least are wrong. */
  wrong(bytes: number, finding: string): void {
    this.wrongBytes += bytes;
    this.note(finding);
  }

  note(finding: string): void {
    if (this.findings.length < 20) this.findings.push(finding);
  }
}
