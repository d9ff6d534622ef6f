/** The worker that hosts one coprocessor instance. Started by the kernel thread. */
import { workerData } from 'node:worker_threads';
import { runEngineThread } from '../machine/threaded/engine-thread.js';
import type { EngineThreadInit } from '../machine/threaded/messages.js';

void runEngineThread(workerData as EngineThreadInit);
