// What both sides of a litmus test use: a barrier between two threads, short random delays, and the loop that keeps
// a test inside its time. Plain JavaScript, because vitest does not transform the source of a worker.
import { parentPort, workerData } from 'node:worker_threads';

/** Words of the shared array that this file uses; a protocol has those from FIRST_FREE on, a line apart. */
const ARRIVED = [0, 16];
const STOP = 32;
export const FIRST_FREE = 48;
export const LINE = 16;

/** Looks before a waiting thread gives its core away: the other side may be waiting for it. */
const LOOKS_BEFORE_SLEEP = 5000;
const SLEEP_MS = 0.1;
/** How long a wrong order waits for its event, in sleeps of 50 us and more. */
const WINDOW_LOOKS = 400;

export const words = new Int32Array(workerData.words);
/** 0 or 1: which side this thread is. */
export const side = workerData.side;
/** Which variant of the protocol to execute. */
export const variant = workerData.variant;

/** Xorshift: each side has delays of its own. */
let randomState = (workerData.seed * 2 + side + 1) | 0;
export function random(below) {
  randomState ^= randomState << 13;
  randomState ^= randomState >>> 17;
  randomState ^= randomState << 5;
  return (randomState >>> 0) % below;
}

/** Nothing, or a short while: moves the two sides against each other. */
export function delay() {
  if (random(4) === 0) return;
  for (let left = random(60); left > 0; left--) Atomics.load(words, STOP);
}

/**
 * The middle of a critical window. A right order sleeps there now and then, so that the other side runs even on one
 * busy core. A wrong order waits there for the very event that it is about to miss.
 */
export function openWindow(missed) {
  if (variant !== 'right') {
    for (let looks = 0; looks < WINDOW_LOOKS && !missed() && !stopped(); looks++)
      Atomics.wait(words, STOP, 0, 0.05);
  } else if (random(64) === 0) Atomics.wait(words, STOP, 0, 0.5);
}

/** Waits until `condition` holds; false when the test was stopped meanwhile. */
export function until(condition) {
  for (let looks = 1; !condition(); looks++) {
    if (Atomics.load(words, STOP) !== 0) return false;
    if (looks % LOOKS_BEFORE_SLEEP === 0) Atomics.wait(words, STOP, 0, SLEEP_MS);
  }
  return true;
}

let meetings = 0;
/** Both sides leave together; false when the test was stopped. */
export function meet() {
  meetings = (meetings + 1) | 0;
  Atomics.store(words, ARRIVED[side], meetings);
  return until(() => ((Atomics.load(words, ARRIVED[1 - side]) - meetings) | 0) >= 0);
}

/** Ends the loops of both sides. */
export function stop() {
  Atomics.store(words, STOP, 1);
}

/** Counts one forbidden outcome. A wrong variant has shown what it was to show, and ends. */
export function forbiddenSeen() {
  if (variant !== 'right') stop();
  return 1;
}

export function stopped() {
  return Atomics.load(words, STOP) !== 0;
}

/** Whether one more round is to be started: side 0 decides, by its limits. */
export function goOn(rounds) {
  if (side === 0 && (rounds >= workerData.rounds || performance.now() >= workerData.endMs)) stop();
  return !stopped();
}

/** Executes one side of a protocol and tells the test what it saw. */
export function execute(sides) {
  // Neither side begins, nor does the time, before the other thread is there.
  meet();
  workerData.endMs = performance.now() + workerData.milliseconds;
  parentPort.postMessage(sides[side]());
}
