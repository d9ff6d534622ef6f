// A kernel that takes a page away and an engine that has translated it. Side 0 clears the entry, changes the
// generation, counts a request, waits for the acknowledgement, and only then gives the frame to somebody else. Side 1
// executes steps: acknowledge at the beginning, then translate through a cache and use the frame.
//
// Forbidden: the engine uses a frame that belongs to somebody else by then.
// Variants: `right`; `acksInside`: the engine acknowledges in the middle of a step, with its translation in hand;
// `countsFirst`: the kernel counts its request before it clears the entry.
import {
  delay,
  execute,
  FIRST_FREE,
  forbiddenSeen,
  goOn,
  LINE,
  openWindow,
  stopped,
  until,
  variant,
  words,
} from './litmus-tools.mjs';

const ENTRY = FIRST_FREE;
const GENERATION = FIRST_FREE + LINE;
const REQUESTED = FIRST_FREE + 2 * LINE;
const ACKNOWLEDGED = FIRST_FREE + 3 * LINE;
/** Owners of the two frames that the page is moved between: a frame number is its index here. */
const OWNER = [FIRST_FREE + 4 * LINE, FIRST_FREE + 5 * LINE];
const OURS = 1;
const THEIRS = 2;

function kernel() {
  let rounds = 0;
  let frame = 0;
  while (goOn(rounds)) {
    Atomics.store(words, OWNER[frame], OURS);
    Atomics.store(words, ENTRY, frame + 1);
    delay();
    if (!invalidate()) break;
    Atomics.store(words, OWNER[frame], THEIRS);
    frame = 1 - frame;
    rounds += 1;
  }
  return { rounds, forbidden: 0 };
}

/** False when the test ended before the acknowledgement. */
function invalidate() {
  if (variant !== 'countsFirst') Atomics.store(words, ENTRY, 0);
  Atomics.add(words, GENERATION, 1);
  const count = (Atomics.add(words, REQUESTED, 1) + 1) | 0;
  if (variant === 'countsFirst') {
    openWindow(() => false);
    Atomics.store(words, ENTRY, 0);
  }
  return until(() => ((Atomics.load(words, ACKNOWLEDGED) - count) | 0) >= 0);
}

/** The device's cache: one translation, good while nothing was requested since `applied`. */
const cache = { frame: -1, applied: 0 };
/** The IOMMU's cache: one translation, good under the generation that it was filled in. */
const iotlb = { frame: -1, generation: -1 };

function engine() {
  let steps = 0;
  let forbidden = 0;
  while (!stopped()) {
    acknowledge();
    const frame = translate();
    if (frame >= 0) {
      delay();
      openWindow(() => Atomics.load(words, REQUESTED) !== cache.applied);
      if (variant === 'acksInside') acknowledge();
      openWindow(() => Atomics.load(words, OWNER[frame]) !== OURS);
      if (Atomics.load(words, OWNER[frame]) !== OURS) forbidden += forbiddenSeen();
    }
    steps += 1;
  }
  return { rounds: steps, forbidden };
}

function acknowledge() {
  const requested = Atomics.load(words, REQUESTED);
  if (requested === Atomics.load(words, ACKNOWLEDGED)) return;
  apply(requested);
  Atomics.store(words, ACKNOWLEDGED, requested);
}

function translate() {
  const requested = Atomics.load(words, REQUESTED);
  if (requested !== cache.applied) apply(requested);
  if (cache.frame < 0) cache.frame = ask();
  return cache.frame;
}

function apply(requested) {
  cache.frame = -1;
  cache.applied = requested;
}

/** Reads the generation before it walks: an entry from a table that changes meanwhile is dead on arrival. */
function ask() {
  const generation = Atomics.load(words, GENERATION);
  if (iotlb.generation === generation) return iotlb.frame;
  const frame = Atomics.load(words, ENTRY) - 1;
  // What is not present is not kept.
  if (frame >= 0) Object.assign(iotlb, { frame, generation });
  return frame;
}

execute([kernel, engine]);
