// Control calls to a thread that never returns to its event loop. Side 0 posts a message, adds one to the count of
// calls, and changes the futex. Side 1 reads the futex, looks at the count, takes every message, and sleeps.
//
// Forbidden: the count says that a call was sent and its message is not in the port; or the wait runs into its timeout
// with a call that was sent.
// Variants: `right`; `countsFirst`: the sender counts before it posts.
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import {
  delay,
  execute,
  FIRST_FREE,
  forbiddenSeen,
  goOn,
  LINE,
  openWindow,
  random,
  stopped,
  until,
  variant,
  words,
} from './litmus-tools.mjs';

const SENT = FIRST_FREE;
const FUTEX = FIRST_FREE + LINE;
/** The last call whose wake is over. */
const RUNG = FIRST_FREE + 3 * LINE;
const TAKEN = FIRST_FREE + 2 * LINE;
const WAIT_MS = 20;

function sender() {
  let rounds = 0;
  while (goOn(rounds)) {
    delay();
    const sent = (rounds + 1) | 0;
    if (variant === 'countsFirst') {
      Atomics.store(words, SENT, sent);
      openWindow(() => false);
    }
    workerData.port.postMessage(sent);
    if (variant !== 'countsFirst') Atomics.store(words, SENT, sent);
    wake();
    Atomics.store(words, RUNG, sent);
    if (!until(() => Atomics.load(words, TAKEN) === sent)) break;
    rounds += 1;
  }
  wake();
  return { rounds, forbidden: 0 };
}

function wake() {
  Atomics.add(words, FUTEX, 1);
  Atomics.notify(words, FUTEX);
}

function receiver() {
  let taken = 0;
  let forbidden = 0;
  while (!stopped()) {
    const futex = Atomics.load(words, FUTEX);
    const sent = Atomics.load(words, SENT);
    if (sent === taken) {
      if (spin(taken)) continue;
      const ended = Atomics.wait(words, FUTEX, futex, WAIT_MS);
      const rung = ((Atomics.load(words, RUNG) - taken) | 0) > 0;
      const lost = ended === 'timed-out' && rung && Atomics.load(words, FUTEX) === futex;
      if (lost && !stopped()) forbidden += forbiddenSeen();
      continue;
    }
    const message = receiveMessageOnPort(workerData.port);
    if (message === undefined) {
      forbidden += forbiddenSeen();
      until(() => receiveMessageOnPort(workerData.port) !== undefined);
    }
    taken = sent;
    Atomics.store(words, TAKEN, taken);
  }
  return { rounds: taken, forbidden };
}

/** An engine spins before it sleeps, and so may see the count before the futex. True when something came. */
function spin(taken) {
  if (variant !== 'right') return until(() => Atomics.load(words, SENT) !== taken);
  for (let looks = random(4000); looks > 0; looks--) if (Atomics.load(words, SENT) !== taken) return true;
  return false;
}

execute([sender, receiver]);
