/** The pool that zero-configuration calls of a thread share, whichever module they come from. */
import { poolOfThread } from './shared-machine.js';

export const shared = poolOfThread();
