/**
 * The end of the program.
 */
import { SIGNAL_CODES } from './main.js';

/**
 * Ends the process with the code that `main` answered. After a signal it dies of that signal, as shells expect of an
 * interrupted program; also, an ordinary exit would wait for a thread that is still opening a named pipe.
 */
export function leave(code: number): void {
  for (const [signal, signalCode] of Object.entries(SIGNAL_CODES)) {
    // Its handler is gone by now, so this is the default action.
    if (code === signalCode) process.kill(process.pid, signal);
  }
  process.exit(code);
}
