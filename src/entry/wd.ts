#!/usr/bin/env node
/**
 * The `wd` program: hands the command its world.
 */
import { leave } from '../cli/leave.js';
import { main } from '../cli/main.js';
import { open } from './index.js';

// Under `npm start` the program runs in the package's directory; names are relative to where the user is.
const { npm_lifecycle_event, npm_package_name, INIT_CWD } = process.env;
const started = npm_lifecycle_event === 'start' && npm_package_name === 'warpdrive' && INIT_CWD !== undefined;

const world = {
  open: () => open(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  directory: started ? INIT_CWD : process.cwd(),
  signals: process,
  nowMs: () => performance.now(),
};

// The machine's threads do not keep the program running while nothing is in flight.
setInterval(() => {}, 2 ** 30);

// Ends with the answer, not when nothing is left to do: an interrupted read of a pipe would never be.
void main(process.argv.slice(2), world).then(leave);
