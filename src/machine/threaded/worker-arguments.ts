/**
 * Which of the program's own options its workers get: all, as Node does it, unless one of them is about the program
 * that was given with --eval. Node refuses that one for a worker, which is always a file.
 */

/** Part of the options of a Worker. */
export function workerArguments(): { execArgv?: string[] } {
  return process.execArgv.some((argument) => argument.startsWith('--input-type')) ? { execArgv: [] } : {};
}
