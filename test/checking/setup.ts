/**
 * Set-up of every test run: each inline machine of any test has its translation caches checked. Machines of the
 * threaded host are not: their engines run on other threads, which load what was built.
 */
import { afterEach } from 'vitest';
import { installTranslationCheck } from '../../src/machine/checking.js';
import { checkingMode } from './checking-mode.js';

const { factory, counters } = checkingMode();
installTranslationCheck(factory);

afterEach(() => {
  // Whoever caught the error, a device model or the test itself: a cache that lied fails the test it lied in.
  const [first] = counters.contradictions.splice(0);
  if (first !== undefined) throw new Error(first);
});
