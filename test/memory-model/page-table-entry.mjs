// One page-table entry: the device sets A and D in it while the kernel takes it away. Side 0 installs a leaf with one
// store and takes it back with one exchange. Side 1 walks: it reads the entry and marks it by compare-and-exchange.
//
// Forbidden: the entry is alive after the kernel took it away, or a mark that the device was granted is missing from
// the value that the kernel took.
// Variants: `right`; `plainMark`: the device stores the marked value without comparing; `plainTake`: the kernel loads
// the entry and then stores zero.
import {
  delay,
  execute,
  FIRST_FREE,
  forbiddenSeen,
  goOn,
  LINE,
  meet,
  openWindow,
  variant,
  words,
} from './litmus-tools.mjs';

const ENTRY = FIRST_FREE;
/** 1 = the device was told that its mark stands. */
const MARKED = FIRST_FREE + LINE;
/** 1 = the device has read the entry and is about to mark it. */
const WALKING = FIRST_FREE + 2 * LINE;
const VALID = 1;
const ACCESSED_DIRTY = 0xc0;

function kernel() {
  let rounds = 0;
  let forbidden = 0;
  while (goOn(rounds)) {
    Atomics.store(words, MARKED, 0);
    Atomics.store(words, WALKING, 0);
    Atomics.store(words, ENTRY, VALID | ((rounds & 0xffff) << 10));
    if (!meet()) break;
    delay();
    if (variant === 'plainMark') openWindow(() => Atomics.load(words, WALKING) === 1);
    const taken = take();
    if (!meet()) break;
    const isAlive = Atomics.load(words, ENTRY) !== 0;
    const isLost = Atomics.load(words, MARKED) === 1 && (taken & ACCESSED_DIRTY) === 0;
    if (isAlive || isLost) forbidden += forbiddenSeen();
    rounds += 1;
  }
  return { rounds, forbidden };
}

function take() {
  if (variant !== 'plainTake') return Atomics.exchange(words, ENTRY, 0);
  const taken = Atomics.load(words, ENTRY);
  openWindow(() => Atomics.load(words, MARKED) === 1);
  Atomics.store(words, ENTRY, 0);
  return taken;
}

function device() {
  let walks = 0;
  while (meet()) {
    delay();
    const entry = Atomics.load(words, ENTRY);
    if ((entry & VALID) !== 0 && mark(entry)) Atomics.store(words, MARKED, 1);
    walks += 1;
    if (!meet()) break;
  }
  return { rounds: walks, forbidden: 0 };
}

function mark(entry) {
  if (variant === 'plainMark') {
    Atomics.store(words, WALKING, 1);
    openWindow(() => Atomics.load(words, ENTRY) === 0);
    Atomics.store(words, ENTRY, entry | ACCESSED_DIRTY);
    return true;
  }
  return Atomics.compareExchange(words, ENTRY, entry, entry | ACCESSED_DIRTY) === entry;
}

execute([kernel, device]);
