/** Measurements that need a process of their own: memory that was once touched is not given back. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Starts `module` with `args` and answers with the one message that it sends; rejects when it ends without one. */
export function forked<T>(module: URL, args: readonly string[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(module), args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    child.once('message', (answer) => resolve(answer as T));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const what = `${module.pathname.split('/').at(-1)} ${args.join(' ')}`;
      reject(new Error(`${what} ended with ${signal ?? code} and no answer: ${complaint}`));
    });
  });
}

/** The other side: sends the answer and ends. A child whose parent has gone ends at once. */
export async function answerParent(answer: () => Promise<object>): Promise<void> {
  process.once('disconnect', () => process.exit(1));
  const message = await answer();
  process.send?.(message, () => process.exit(0));
}
