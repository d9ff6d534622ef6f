// Two threads append records to a queue that a third reads: here each side appends, and side 0 reads as well. A record
// has two words that belong together; the tail is stored after them, under the lock.
//
// Forbidden: a record of which one word is missing, or a record lost.
// Variants: `right`; `noLock`: they append without the lock; `tailFirst`: the tail is stored before the record.
import {
  delay,
  execute,
  FIRST_FREE,
  forbiddenSeen,
  goOn,
  LINE,
  openWindow,
  side,
  stopped,
  until,
  variant,
  words,
} from './litmus-tools.mjs';

const LOCK = FIRST_FREE;
const TAIL = FIRST_FREE + LINE;
const HEAD = FIRST_FREE + 2 * LINE;
/** Records that side 1 has appended, as a complement once it has ended. */
const APPENDED = FIRST_FREE + 3 * LINE;
const RECORDS = FIRST_FREE + 5 * LINE;
const ENTRIES = 16;

function lock() {
  return variant === 'noLock' || until(() => Atomics.compareExchange(words, LOCK, 0, side + 1) === 0);
}

function unlock() {
  if (variant !== 'noLock') Atomics.store(words, LOCK, 0);
}

/** Appends one record; false when there was no room. */
function append(value) {
  if (!lock()) return false;
  const tail = Atomics.load(words, TAIL);
  const next = (tail + 1) % ENTRIES;
  const hasRoom = next !== Atomics.load(words, HEAD);
  if (hasRoom) store(tail, next, value);
  unlock();
  return hasRoom;
}

function store(tail, next, value) {
  const at = RECORDS + tail * 2;
  if (variant === 'tailFirst') {
    Atomics.store(words, TAIL, next);
    openWindow(() => Atomics.load(words, HEAD) === next);
  }
  words[at] = value;
  if (variant === 'noLock') openWindow(() => Atomics.load(words, TAIL) !== tail);
  words[at + 1] = ~value;
  if (variant !== 'tailFirst') Atomics.store(words, TAIL, next);
}

/** Side 0 appends, and reads everything that is there. */
function reader() {
  let rounds = 0;
  let forbidden = 0;
  let read = 0;
  let mine = 0;
  const drain = () => {
    while (Atomics.load(words, HEAD) !== Atomics.load(words, TAIL)) {
      const head = Atomics.load(words, HEAD);
      const at = RECORDS + head * 2;
      if (words[at + 1] !== ~words[at] || words[at] === 0) forbidden += forbiddenSeen();
      words[at] = 0;
      words[at + 1] = 0;
      Atomics.store(words, HEAD, (head + 1) % ENTRIES);
      read += 1;
    }
  };
  while (goOn(rounds)) {
    delay();
    // A reader that waits for the lock would not be reading while the other side stores.
    if (variant !== 'tailFirst' && append(1 + rounds)) mine += 1;
    drain();
    rounds += 1;
  }
  // The other side ends now; what it appended last is still to be read.
  while (Atomics.load(words, APPENDED) >= 0) Atomics.wait(words, APPENDED, 0, 1);
  drain();
  if (read !== mine + ~Atomics.load(words, APPENDED)) forbidden += forbiddenSeen();
  return { rounds, forbidden };
}

/** Side 1 appends until the end, then leaves its count as a complement: it is negative, and final. */
function appender() {
  let appended = 0;
  while (!stopped()) {
    delay();
    if (append(1 + appended)) appended += 1;
  }
  Atomics.store(words, APPENDED, ~appended);
  return { rounds: appended, forbidden: 0 };
}

execute([reader, appender]);
