// An engine that sleeps because its CQ is full, and a consumer that makes room. Side 0 consumes: it stores the head,
// then wakes the engine only if its word says NO_COMPLETION_SLOT. Side 1 produces into a CQ of two entries.
//
// Forbidden: the engine's wait runs into its timeout although there is room and the consumer is done with its look.
// Variants: `right`; `looksFirst`: the engine looks at the head before it publishes why it sleeps.
import {
  delay,
  execute,
  FIRST_FREE,
  forbiddenSeen,
  goOn,
  LINE,
  openWindow,
  stopped,
  variant,
  words,
} from './litmus-tools.mjs';

const HEAD = FIRST_FREE;
const TAIL = FIRST_FREE + LINE;
const ASLEEP = FIRST_FREE + 2 * LINE;
const FUTEX = FIRST_FREE + 3 * LINE;
/** The last head whose look at ASLEEP is over. */
const LOOKED = FIRST_FREE + 4 * LINE;
const DEPTH = 2;
const NO_COMPLETION_SLOT = 2;
const WAIT_MS = 20;

function wake() {
  Atomics.add(words, FUTEX, 1);
  Atomics.notify(words, FUTEX);
}

function consumer() {
  let head = 0;
  while (goOn(head)) {
    if (Atomics.load(words, TAIL) === head) continue;
    delay();
    head = (head + 1) | 0;
    Atomics.store(words, HEAD, head);
    if (Atomics.load(words, ASLEEP) === NO_COMPLETION_SLOT) wake();
    Atomics.store(words, LOOKED, head);
  }
  wake();
  return { rounds: head, forbidden: 0 };
}

function engine() {
  let tail = 0;
  let forbidden = 0;
  const hasRoomFor = (head) => ((tail - head) | 0) < DEPTH;
  const hasRoom = () => hasRoomFor(Atomics.load(words, HEAD));
  while (!stopped()) {
    if (!hasRoom() && !sleep(hasRoom, hasRoomFor)) forbidden += forbiddenSeen();
    if (!hasRoom()) continue;
    tail = (tail + 1) | 0;
    Atomics.store(words, TAIL, tail);
  }
  return { rounds: tail, forbidden };
}

/** False when a wake-up was lost. */
function sleep(hasRoom, hasRoomFor) {
  const seen = Atomics.load(words, FUTEX);
  let found = false;
  if (variant === 'looksFirst') {
    found = hasRoom();
    openWindow(() => hasRoomFor(Atomics.load(words, LOOKED)));
  }
  Atomics.store(words, ASLEEP, NO_COMPLETION_SLOT);
  if (variant !== 'looksFirst') found = hasRoom();
  const ended = found ? 'found' : Atomics.wait(words, FUTEX, seen, WAIT_MS);
  // Judged while the word still says that we sleep: the consumer looked, there was room, and it did not wake us.
  const lost =
    ended === 'timed-out' && hasRoomFor(Atomics.load(words, LOOKED)) && Atomics.load(words, FUTEX) === seen;
  Atomics.store(words, ASLEEP, 0);
  return stopped() || !lost;
}

execute([consumer, engine]);
