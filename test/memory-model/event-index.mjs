// Completions and the event index. Side 0 consumes: it stores the index at which it wants an interrupt, then looks once
// more at the CQE just before that index. Side 1 publishes a CQE, then loads the event index and sends an interrupt if
// the two are equal. One round is a burst of CQEs; the consumer must learn of the last one.
//
// Forbidden: the whole burst is published, the engine is done with it, no interrupt is on its way, and the consumer
// is waiting.
// Variants: `right`; `armsLast`: the consumer looks before it stores the index; `loadsFirst`: the engine loads the
// index before it publishes.
import {
  delay,
  execute,
  FIRST_FREE,
  forbiddenSeen,
  goOn,
  LINE,
  meet,
  openWindow,
  random,
  until,
  variant,
  words,
} from './litmus-tools.mjs';

const PUBLISHED = FIRST_FREE;
const EVENT_INDEX = FIRST_FREE + LINE;
/** Interrupts ever sent. */
const INTERRUPTS = FIRST_FREE + 2 * LINE;
/** The count after which the engine has done everything it will do in this round. */
const SETTLED = FIRST_FREE + 3 * LINE;
const BURST_END = FIRST_FREE + 4 * LINE;
const AHEAD_MAX = 16;

function consumer() {
  let rounds = 0;
  let forbidden = 0;
  let head = 0;
  let heard = 0;
  while (goOn(rounds)) {
    const end = (head + 1 + random(8)) | 0;
    Atomics.store(words, BURST_END, end);
    if (!meet()) break;
    while (head !== end) {
      const found = arm(head, end);
      if (!found) {
        const heardNow = () => Atomics.load(words, INTERRUPTS) !== heard;
        // Settled is stored after the last interrupt, so it is read first.
        const isOver = () => heardNow() || (Atomics.load(words, SETTLED) === end && !heardNow());
        if (!until(isOver)) return { rounds, forbidden };
        if (!heardNow()) forbidden += forbiddenSeen();
      }
      heard = Atomics.load(words, INTERRUPTS);
      head = Atomics.load(words, PUBLISHED);
    }
    rounds += 1;
    if (!meet()) break;
  }
  return { rounds, forbidden };
}

/** Stores the event index; true when what it waits for has been published already. */
function arm(head, end) {
  const inFlight = (end - head) | 0;
  const event = (head + Math.min(Math.ceil(inFlight / 2), AHEAD_MAX)) | 0;
  const isThere = () => ((Atomics.load(words, PUBLISHED) - event) | 0) >= 0;
  if (variant === 'armsLast') {
    if (isThere()) return true;
    openWindow(() => Atomics.load(words, SETTLED) === end);
    Atomics.store(words, EVENT_INDEX, event);
    return false;
  }
  Atomics.store(words, EVENT_INDEX, event);
  return isThere();
}

function engine() {
  let published = 0;
  while (meet()) {
    const end = Atomics.load(words, BURST_END);
    while (published !== end) {
      delay();
      published = (published + 1) | 0;
      if (publish(published)) Atomics.add(words, INTERRUPTS, 1);
    }
    Atomics.store(words, SETTLED, end);
    if (!meet()) break;
  }
  return { rounds: published, forbidden: 0 };
}

/** Publishes the CQE with this count; true when an interrupt was asked for. */
function publish(count) {
  if (variant !== 'loadsFirst') {
    Atomics.store(words, PUBLISHED, count);
    return Atomics.load(words, EVENT_INDEX) === count;
  }
  const isAsked = Atomics.load(words, EVENT_INDEX) === count;
  openWindow(() => Atomics.load(words, EVENT_INDEX) === count);
  Atomics.store(words, PUBLISHED, count);
  return isAsked;
}

execute([consumer, engine]);
