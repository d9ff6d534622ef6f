/**
 * What a program sees of its instance of a device, and the question whether two programs saw the same.
 */

/** What a program has seen. All but `looks` has one answer, whatever the time. */
export interface Seen {
  /** Answers to reads, with the offset. */
  readonly reads: string[];
  /** Answers to writes. */
  readonly writes: number[];
  /** SQEs as they came back, with a checksum of their output. */
  readonly completions: string[];
  /** Completion interrupts of each queue, after each request and at the end. */
  readonly interrupts: number[][];
  /** Lines that the device raised. */
  readonly lines: number[];
  /** Whatever else the owner was told. */
  readonly told: unknown[];
  /** At the end: all registers, and checksums of all memory. */
  readonly left: { registers: readonly number[]; memory: readonly number[] };
  /** Of each request in flight, by step: the registers' values. */
  readonly looks: Map<string, Set<number>>;
}

/** Nothing yet. */
export function newSeen(): Seen {
  return {
    reads: [],
    writes: [],
    completions: [],
    interrupts: [],
    lines: [],
    told: [],
    left: { registers: [], memory: [] },
    looks: new Map(),
  };
}

const COMPARED = ['reads', 'writes', 'completions', 'interrupts', 'lines', 'told', 'left'] as const;

/** The first thing that `shared` saw and `alone` did not see so; null when there is none. */
export function differenceOf(alone: Seen, shared: Seen): string | null {
  for (const key of COMPARED) {
    const [expected, found] = [alone[key], shared[key]].map((values) =>
      Object.entries(values).map(([place, value]) => `${key} ${place}: ${JSON.stringify(value)}`),
    ) as [string[], string[]];
    const longest = expected.length > found.length ? expected : found;
    const first = longest.findIndex((_, place) => expected[place] !== found[place]);
    if (first >= 0) return `${found[first] ?? 'nothing'}; alone ${expected[first] ?? 'nothing'}`;
  }
  return strangeLook(alone, shared);
}

/** A value that a register had in the middle of a request, and that it never has there on a device of its own. */
function strangeLook(alone: Seen, shared: Seen): string | null {
  for (const [where, values] of shared.looks) {
    const possible = alone.looks.get(where) ?? new Set();
    for (const value of values) {
      if (!possible.has(value)) return `${where}: ${value}; alone ${[...possible].join(' or ')}`;
    }
  }
  return null;
}
