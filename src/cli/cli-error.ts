/**
 * What ends the command early: one sentence for the user, with the remedy in it. Thrown anywhere below `main`, which
 * prints it as `wd: ...` and exits with 1. System errors and errors of the library become such sentences here.
 */
import type { WdError } from '../base/errors.js';

/** A mistake or a failure that the user is told about in one line. */
export class CliError extends Error {}

/** The reader of our standard output went away: nothing is wrong, and nothing more can be said there. */
export class OutputClosed extends CliError {}

/** What was tried on which path, as in "cannot read notes.txt". */
interface Attempt {
  readonly verb: 'read' | 'write';
  readonly path: string;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; check the name',
  ENOTDIR: 'a part of that path is not a directory; check the name',
  EISDIR: 'it is a directory; name a file',
  EACCES: 'permission denied; change its permissions, or name another file',
  EPERM: 'the system does not permit it; name another file',
  EROFS: 'the file system is read-only; name a file elsewhere',
  ENOSPC: 'no space is left on the device; make room, or name a file elsewhere',
  EDQUOT: 'the disk quota is used up; make room, or name a file elsewhere',
  EFBIG: 'the file would be larger than is allowed; raise the limit, or name a file elsewhere',
  ENAMETOOLONG: 'the name is too long; name another file',
  ELOOP: 'its symbolic links go round in a circle; name another file',
  EMFILE: 'too many files are open; raise the limit (ulimit -n)',
  EIO: 'the device reported an input or output error; check the disk',
  ETXTBSY: 'it is a program that is running now; name another file',
};

/** A failed system call on a file, as a sentence. What is not a system error is thrown on. */
export function fileError(failure: unknown, { verb, path }: Attempt): CliError {
  if (failure instanceof CliError) return failure;
  const { code, message } = failure as NodeJS.ErrnoException;
  if (code === undefined) throw failure;
  const reason = REASONS[code] ?? message;
  return new CliError(`cannot ${verb} ${showPath(path)}: ${reason}`);
}

/** An error of the library, met while working on `input`. */
export function libraryError(error: WdError, input: string): CliError {
  if (error.kind === 'BadData') {
    return new CliError(
      `cannot decompress ${input}: ${error.message} (${error.code}); check that it is complete, and name its --format`,
    );
  }
  return new CliError(`${error.message} (${error.code})`);
}

/** A path as it can be printed: control characters would be commands to the terminal. */
export function showPath(path: string): string {
  return /^[^\p{Cc}]+$/u.test(path) ? path : JSON.stringify(path);
}
