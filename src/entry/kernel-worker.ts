/** The worker that hosts kernel and framework. Started by ThreadedMachine. */
import { workerData } from 'node:worker_threads';
import { runKernelThread } from '../machine/threaded/kernel-thread.js';
import type { KernelThreadInit } from '../machine/threaded/messages.js';

void runKernelThread(workerData as KernelThreadInit);
