// A kernel that takes a page away and a user thread that walks the table itself. Side 0 clears the entry, says that it
// waits, looks at the epoch, sleeps until an odd one has moved, and only then gives the frame to somebody else. Side 1
// makes the epoch odd, reads the entry, uses the frame, makes the epoch even, looks whether somebody waits, and wakes. It
// makes one access a round: a next one would make up for a lost wake-up.
//
// Forbidden: the user thread uses a frame that belongs to somebody else by then; or the kernel's sleep runs into its
// timeout although the access has ended and the user thread has looked whether somebody waits.
// Variants: `right`; `walksFirst`: the entry is read before the epoch is odd; `clearsLast`: the kernel looks at the epoch
// before it clears the entry; `looksFirst`: the user thread looks for a waiter before the epoch is even; `waitsLast`: the
// kernel looks at the epoch before it says that it waits.
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
const EPOCH = FIRST_FREE + LINE;
const WAITER = FIRST_FREE + 2 * LINE;
/** Futex of the kernel. */
const WAKE = FIRST_FREE + 3 * LINE;
/** The last even epoch whose look for a waiter is finished: stored after the wake, if there was one. */
const LEFT = FIRST_FREE + 4 * LINE;
/** The round that the kernel has begun; that in which it has looked at the epoch; that in which the user has walked. */
const ROUND = FIRST_FREE + 5 * LINE;
const LOOKED = FIRST_FREE + 6 * LINE;
const WALKED = FIRST_FREE + 9 * LINE;
/** Owners of the two frames that the page is moved between: a frame number is its index here. */
const OWNER = [FIRST_FREE + 7 * LINE, FIRST_FREE + 8 * LINE];
const OURS = 1;
const THEIRS = 2;
const WAIT_MS = 20;
const losesWakes = variant === 'looksFirst' || variant === 'waitsLast';

const isInside = () => (Atomics.load(words, EPOCH) & 1) === 1;
const isPast = (epoch) => ((Atomics.load(words, LEFT) - epoch) | 0) > 0;

function kernel() {
  let rounds = 0;
  let forbidden = 0;
  let frame = 0;
  while (goOn(rounds)) {
    Atomics.store(words, OWNER[frame], OURS);
    Atomics.store(words, ENTRY, frame + 1);
    rounds += 1;
    Atomics.store(words, ROUND, rounds);
    delay();
    if (losesWakes) openWindow(isInside);
    if (variant === 'walksFirst') openWindow(() => Atomics.load(words, WALKED) === rounds);
    if (!takeAway(rounds)) forbidden += forbiddenSeen();
    Atomics.store(words, OWNER[frame], THEIRS);
    frame = 1 - frame;
    if (!until(() => Atomics.load(words, LEFT) === 2 * rounds)) break;
  }
  return { rounds, forbidden };
}

/** False when a wake-up was lost. */
function takeAway(round) {
  const seen = Atomics.load(words, WAKE);
  if (variant !== 'clearsLast') Atomics.exchange(words, ENTRY, 0);
  if (variant !== 'waitsLast') Atomics.store(words, WAITER, 1);
  const epoch = Atomics.load(words, EPOCH);
  Atomics.store(words, LOOKED, round);
  if (variant === 'clearsLast') {
    openWindow(isInside);
    Atomics.exchange(words, ENTRY, 0);
  }
  if (variant === 'waitsLast') {
    openWindow(() => isPast(epoch));
    Atomics.store(words, WAITER, 1);
  }
  const woken = (epoch & 1) === 0 || sleepUntilLeft(epoch, seen);
  Atomics.store(words, WAITER, 0);
  return woken;
}

function sleepUntilLeft(epoch, first) {
  let seen = first;
  while (!stopped()) {
    const ended = Atomics.wait(words, WAKE, seen, WAIT_MS);
    // Judged before the next look: the access is over, its look for a waiter is too, and the futex did not change.
    if (ended === 'timed-out' && isPast(epoch) && Atomics.load(words, WAKE) === seen) return false;
    seen = Atomics.load(words, WAKE);
    if (Atomics.load(words, EPOCH) !== epoch) return true;
  }
  return true;
}

function user() {
  let round = 0;
  let forbidden = 0;
  while (until(() => Atomics.load(words, ROUND) !== round)) {
    round += 1;
    delay();
    if (variant === 'clearsLast') openWindow(() => Atomics.load(words, LOOKED) === round);
    const frame = enterAndWalk(round);
    if (frame >= 0) {
      delay();
      if (variant === 'waitsLast') openWindow(() => Atomics.load(words, LOOKED) === round);
      if (!losesWakes) openWindow(() => Atomics.load(words, OWNER[frame]) !== OURS);
      if (Atomics.load(words, OWNER[frame]) !== OURS) forbidden += forbiddenSeen();
    }
    leave();
  }
  return { rounds: round, forbidden };
}

function enterAndWalk(round) {
  if (variant !== 'walksFirst') Atomics.add(words, EPOCH, 1);
  const frame = Atomics.load(words, ENTRY) - 1;
  Atomics.store(words, WALKED, round);
  if (variant === 'walksFirst') {
    if (frame >= 0) openWindow(() => Atomics.load(words, OWNER[frame]) !== OURS);
    Atomics.add(words, EPOCH, 1);
  }
  return frame;
}

function leave() {
  let isAwaited = variant === 'looksFirst' && Atomics.load(words, WAITER) !== 0;
  if (variant === 'looksFirst') openWindow(() => Atomics.load(words, WAITER) !== 0);
  const left = Atomics.add(words, EPOCH, 1) + 1;
  if (variant !== 'looksFirst') isAwaited = Atomics.load(words, WAITER) !== 0;
  if (isAwaited) wake();
  Atomics.store(words, LEFT, left);
}

function wake() {
  Atomics.add(words, WAKE, 1);
  Atomics.notify(words, WAKE);
}

execute([kernel, user]);
