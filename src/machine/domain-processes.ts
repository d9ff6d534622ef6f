/**
 * Which processes live in which domain, from their creation to the last frame that they give back. A domain gives its
 * memory back only when none is left: one that was ending already, or a child that was on its way, counts.
 */

import type { CreateProcessOptions, ForkAnswer, Kernel } from '../kernel/kernel.js';
import type { Process } from '../kernel/process.js';
import { errno } from '../uapi/errno.js';
import type { Domain } from './domain.js';

/** What is under way in a domain, and who waits for its end. */
interface Account {
  /** Forks and exits that were not answered yet. */
  underWay: number;
  ended: (() => void) | null;
}

export class DomainProcesses {
  readonly #kernel: Kernel;
  readonly #ended: (pid: number) => void;
  readonly #domains = new Map<number, Domain>();
  readonly #accounts = new Map<Domain, Account>();
  readonly #exiting = new Set<number>();

  /** `ended` is told of each process when it has ended, whoever ended it, and before its number can be another's. */
  constructor(kernel: Kernel, ended: (pid: number) => void) {
    this.#kernel = kernel;
    this.#ended = ended;
  }

  /** A new process of a live domain; null when numbers or memory are used up. */
  create(domain: Domain, options: Omit<CreateProcessOptions, 'memory'>): Process | null {
    const process = this.#kernel.createProcess({ ...options, memory: domain.memory });
    if (process !== null) this.#enter(domain, process.pid);
    return process;
  }

  /** As `Kernel.forkProcess`: the child lives where its parent does. */
  fork(pid: number, waiter: number, done: (answer: ForkAnswer) => void): void {
    const domain = this.#domains.get(pid);
    if (domain === undefined) {
      done(-errno.ESRCH);
      return;
    }
    this.#begin(domain);
    this.#kernel.forkProcess(pid, waiter, (answer) => {
      if (typeof answer !== 'number') this.#enter(domain, answer.child.pid);
      done(answer);
      this.#over(domain);
    });
  }

  /** As `Kernel.exitProcess`. */
  exit(pid: number, done: (ret: number) => void): void {
    const domain = this.#domains.get(pid);
    if (domain === undefined || this.#exiting.has(pid)) {
      done(-errno.ESRCH);
      return;
    }
    this.#exiting.add(pid);
    this.#begin(domain);
    this.#kernel.exitProcess(pid, (ret) => {
      this.#exiting.delete(pid);
      this.#domains.delete(pid);
      domain.processes.delete(pid);
      if (ret === 0) this.#ended(pid);
      done(ret);
      this.#over(domain);
    });
  }

  /** Ends every process of a domain; `done` when none is left. */
  exitAll(domain: Domain, done: () => void): void {
    // Also those that somebody else has put there.
    for (const pid of domain.processes) this.#enter(domain, pid);
    this.#begin(domain).ended = done;
    this.#over(domain);
  }

  #enter(domain: Domain, pid: number): void {
    this.#domains.set(pid, domain);
    domain.processes.add(pid);
  }

  #begin(domain: Domain): Account {
    const account = this.#accounts.get(domain) ?? { underWay: 0, ended: null };
    this.#accounts.set(domain, account);
    account.underWay += 1;
    return account;
  }

  #over(domain: Domain): void {
    const account = this.#accounts.get(domain)!;
    account.underWay -= 1;
    if (account.underWay > 0) return;
    const { ended } = account;
    if (ended !== null && domain.processes.size > 0) this.#exitNow(domain);
    else {
      this.#accounts.delete(domain);
      ended?.();
    }
  }

  /** Nothing is under way: each can be told to end. */
  #exitNow(domain: Domain): void {
    this.#begin(domain);
    for (const pid of [...domain.processes]) this.exit(pid, () => {});
    this.#over(domain);
  }
}
