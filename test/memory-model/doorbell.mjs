// A submitter and an engine that really sleeps. Side 0 stores SQ tail, then looks at "asleep" and changes the futex if
// it is set. Side 1 reads the futex, publishes "asleep", looks at the tail once more, and waits on the value read.
//
// Forbidden: the engine's wait runs into its timeout although a request is submitted and its doorbell is finished.
// Variants: `right`; `looksFirst`: the engine looks at the tail before it publishes "asleep"; `futexLast`: it reads the
// futex after its last look.
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

const TAIL = FIRST_FREE;
const ASLEEP = FIRST_FREE + LINE;
const FUTEX = FIRST_FREE + 2 * LINE;
/** The last tail whose doorbell is finished: stored after the wake, if there was one. */
const RUNG = FIRST_FREE + 3 * LINE;
const TAKEN = FIRST_FREE + 4 * LINE;
const WAIT_MS = 20;

function submitter() {
  let rounds = 0;
  while (goOn(rounds)) {
    delay();
    const tail = (rounds + 1) | 0;
    Atomics.store(words, TAIL, tail);
    if (Atomics.load(words, ASLEEP) !== 0) wake();
    Atomics.store(words, RUNG, tail);
    if (!until(() => Atomics.load(words, TAKEN) === tail)) break;
    rounds += 1;
  }
  wake();
  return { rounds, forbidden: 0 };
}

function wake() {
  Atomics.add(words, FUTEX, 1);
  Atomics.notify(words, FUTEX);
}

function engine() {
  let taken = 0;
  let forbidden = 0;
  const isWork = () => Atomics.load(words, TAIL) !== taken;
  while (!stopped()) {
    if (!isWork()) forbidden += sleep(isWork, taken) ? 0 : forbiddenSeen();
    if (!isWork()) continue;
    delay();
    taken = Atomics.load(words, TAIL);
    Atomics.store(words, TAKEN, taken);
  }
  return { rounds: taken, forbidden };
}

/** False when a wake-up was lost. */
function sleep(isWork, taken) {
  let seen = Atomics.load(words, FUTEX);
  let found = false;
  if (variant === 'looksFirst') {
    found = isWork();
    openWindow(() => ((Atomics.load(words, RUNG) - taken) | 0) > 0);
  }
  Atomics.store(words, ASLEEP, 1);
  if (variant !== 'looksFirst') found = isWork();
  if (variant === 'futexLast') {
    openWindow(() => ((Atomics.load(words, RUNG) - taken) | 0) > 0);
    seen = Atomics.load(words, FUTEX);
  }
  const ended = found ? 'found' : Atomics.wait(words, FUTEX, seen, WAIT_MS);
  // Judged while the word still says that we sleep: a doorbell is finished, and did not change the futex.
  const lost =
    ended === 'timed-out' &&
    ((Atomics.load(words, RUNG) - taken) | 0) > 0 &&
    Atomics.load(words, FUTEX) === seen;
  Atomics.store(words, ASLEEP, 0);
  return stopped() || !lost;
}

execute([submitter, engine]);
