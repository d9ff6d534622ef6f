/** The program `npm run study`: command.ts on this process's streams. */
import { command } from './command.js';

const print = (text: string): Promise<void> =>
  new Promise((resolve) => process.stdout.write(text, () => resolve()));
const progress = (text: string): void => {
  process.stderr.write(text);
};

process.exitCode = await command(process.argv.slice(2), { print, progress });
