/**
 * Who gives up pages when a process needs a frame and none is left. A process at its own quota pays with its own pages,
 * those that it shares with a fork included; when the domain or the machine is full, the process with most pages in memory pays. Processes of other domains never
 * do: each domain lives on its own memory.
 */
import type { AddressSpace } from './address-space.js';

export class Reclaimer {
  readonly #spaces = new Set<AddressSpace>();

  /** `space` can be asked for pages from now on. */
  add(space: AddressSpace): void {
    this.#spaces.add(space);
  }

  remove(space: AddressSpace): void {
    this.#spaces.delete(space);
  }

  /** Makes room for `needy`; `done` gets how many pages left memory. */
  reclaim(needy: AddressSpace, done: (freed: number) => void): void {
    if (needy.frames.hasQuota(1)) ask(this.#byPages(needy), done);
    else needy.giveUpPages('all', done);
  }

  #byPages(needy: AddressSpace): AddressSpace[] {
    const { domain } = needy.frames;
    const neighbours = [...this.#spaces].filter((space) => space.frames.domain === domain && !space.quiet);
    return neighbours.sort((a, b) => b.residentPages - a.residentPages || a.pscid - b.pscid);
  }
}

/** Asks one after the other until one could give something. */
function ask(payers: readonly AddressSpace[], done: (freed: number) => void): void {
  const [first, ...others] = payers;
  if (first === undefined) {
    done(0);
    return;
  }
  first.giveUpPages('unshared', (freed) => {
    if (freed > 0) done(freed);
    else ask(others, done);
  });
}
