// Two sides, two words: each side stores its own word, then loads the other's. At least one of them must see the
// other's store. Five protocols rest on this: doorbell and sleep, CQ head and sleep, event index and publication,
// stalled and event index, control call and sleep.
//
// Variants: `right`; `loadFirst`: side 1 loads before it stores.
import {
  delay,
  execute,
  FIRST_FREE,
  forbiddenSeen,
  goOn,
  LINE,
  meet,
  openWindow,
  side,
  variant,
  words,
} from './litmus-tools.mjs';

const MINE = FIRST_FREE + side * LINE;
const THEIRS = FIRST_FREE + (1 - side) * LINE;
const SEEN = [FIRST_FREE + 2 * LINE, FIRST_FREE + 3 * LINE];

function storeThenLoad(round) {
  Atomics.store(words, MINE, round);
  return Atomics.load(words, THEIRS) === round;
}

function loadThenStore(round) {
  const seen = Atomics.load(words, THEIRS) === round;
  openWindow(() => Atomics.load(words, THEIRS) === round);
  Atomics.store(words, MINE, round);
  return seen;
}

function oneSide() {
  const act = variant === 'loadFirst' && side === 1 ? loadThenStore : storeThenLoad;
  let rounds = 0;
  let forbidden = 0;
  while (goOn(rounds)) {
    if (!meet()) break;
    delay();
    const seen = act(rounds + 1);
    Atomics.store(words, SEEN[side], seen ? 1 : 0);
    if (!meet()) break;
    if (side === 0 && !seen && Atomics.load(words, SEEN[1]) === 0) forbidden += forbiddenSeen();
    rounds += 1;
    // Neither side may start the next round while the other still reads this one's result.
    if (!meet()) break;
  }
  return { rounds, forbidden };
}

execute([oneSide, oneSide]);
