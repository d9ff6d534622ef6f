// Interrupts as messages, at most one on its way. Side 1 publishes a completion, exchanges the pending word for 1 and
// posts a message if it was 0. Side 0 takes a message, clears the word, and then looks.
//
// Forbidden: the engine is done with what it published, no message is left, and the consumer has not seen the last one.
// Variants: `right`; `looksFirst`: the consumer looks before it clears the word.
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import {
  delay,
  execute,
  FIRST_FREE,
  forbiddenSeen,
  goOn,
  LINE,
  meet,
  openWindow,
  stopped,
  variant,
  words,
} from './litmus-tools.mjs';

const PUBLISHED = FIRST_FREE;
const PENDING = FIRST_FREE + LINE;
/** What the engine has published and told of. */
const TOLD = FIRST_FREE + 2 * LINE;
const PER_ROUND = 4;

function consumer() {
  let rounds = 0;
  let forbidden = 0;
  let seen = 0;
  while (goOn(rounds)) {
    if (!meet()) break;
    const end = ((rounds + 1) * PER_ROUND) | 0;
    while (seen !== end) {
      const told = Atomics.load(words, TOLD);
      const message = receiveMessageOnPort(workerData.port);
      if (message !== undefined) seen = look();
      else if (told === end) {
        // Told of everything before the port was found empty: nobody will tell us any more.
        forbidden += forbiddenSeen();
        seen = end;
      } else if (stopped()) break;
    }
    if (!meet()) break;
    while (receiveMessageOnPort(workerData.port) !== undefined) Atomics.store(words, PENDING, 0);
    Atomics.store(words, PENDING, 0);
    rounds += 1;
  }
  return { rounds, forbidden };
}

function look() {
  if (variant === 'looksFirst') {
    const seen = Atomics.load(words, PUBLISHED);
    openWindow(() => Atomics.load(words, PUBLISHED) !== seen);
    Atomics.store(words, PENDING, 0);
    return seen;
  }
  Atomics.store(words, PENDING, 0);
  return Atomics.load(words, PUBLISHED);
}

function engine() {
  let published = 0;
  while (meet()) {
    for (let left = PER_ROUND; left > 0; left--) {
      delay();
      published = (published + 1) | 0;
      Atomics.store(words, PUBLISHED, published);
      if (Atomics.exchange(words, PENDING, 1) === 0) workerData.port.postMessage(0);
      Atomics.store(words, TOLD, published);
      if (variant !== 'right') openWindow(() => false);
    }
    if (!meet()) break;
  }
  return { rounds: published, forbidden: 0 };
}

execute([consumer, engine]);
