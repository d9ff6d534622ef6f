/**
 * The engine thread of the bare ring: takes a submission, answers it with its own number, spins a while when there
 * is nothing to take, then sleeps. It never returns to its event loop.
 *
 * No wake-up is lost: the caller stores SUBMITTED and then loads ASLEEP; here ASLEEP is stored, SUBMITTED is read
 * again, and the wait is on the value that was read before.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { RING_MASK, type RingWorkerData, ringWord } from './bare-ring-words.js';

const { shared, idleSpins } = workerData as RingWorkerData;
const words = new Int32Array(shared);

/** Answers every submission up to `submitted`; returns the new count of completions. */
function serve(completed: number, submitted: number): number {
  let done = completed;
  while (done !== submitted) {
    const entry = done & RING_MASK;
    words[ringWord.COMPLETIONS + entry] = words[ringWord.SUBMISSIONS + entry];
    done = (done + 1) | 0;
    Atomics.store(words, ringWord.COMPLETED, done);
    if (Atomics.load(words, ringWord.EVENT_INDEX) === done) parentPort?.postMessage(0);
  }
  return done;
}

/** Sleeps until there is a submission beyond `completed`. */
function sleep(completed: number): void {
  Atomics.store(words, ringWord.ASLEEP, 1);
  while (Atomics.load(words, ringWord.SUBMITTED) === completed) {
    Atomics.wait(words, ringWord.SUBMITTED, completed);
  }
  Atomics.store(words, ringWord.ASLEEP, 0);
}

let completed = 0;
let idle = 0;
for (;;) {
  const submitted = Atomics.load(words, ringWord.SUBMITTED);
  if (submitted !== completed) {
    completed = serve(completed, submitted);
    idle = 0;
  } else if (++idle > idleSpins) {
    sleep(completed);
    idle = 0;
  }
}
