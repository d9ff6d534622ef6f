/**
 * Loads and stores of a process's user thread, the same on both hosts: straight through its tables while its pages are
 * there, and through the kernel for a page fault.
 *
 * A copy is made of bounded pieces, each in an access epoch of its own, so the kernel never waits long for this thread.
 * The epoch is left before the kernel is asked: it may have to wait for this very epoch to resolve the fault.
 */
import { limits } from '../base/limits.js';
import type { AccessEpoch } from '../hw/access-epoch.js';
import type { CpuMemory } from '../hw/cpu-memory.js';
import { errno } from '../uapi/errno.js';

type Access = 'read' | 'write';

export interface UserMemoryOptions {
  readonly memory: Pick<CpuMemory, 'tryRead' | 'tryWrite'>;
  readonly epoch: Pick<AccessEpoch, 'enter' | 'leave'>;
  /** Has the kernel resolve a page fault: 0 = try again, or a negated errno. */
  readonly pageFault: (address: number, access: Access) => Promise<number>;
}

/** A part of a copy: tries it, and answers how many bytes came before the first page that faults. */
type Try = (address: number, start: number, end: number) => number;

export class UserMemory {
  readonly #options: UserMemoryOptions;
  /** Why there is no memory any more: a negated errno, or 0. */
  #ended = 0;

  constructor(options: UserMemoryOptions) {
    this.#options = options;
  }

  /** From now on every access is answered `ret`, a negated errno: the tables may be gone. */
  end(ret: number): void {
    if (this.#ended === 0) this.#ended = ret;
  }

  /** The bytes at `address`, or a negated errno; see `Platform.load`. */
  async load(address: number, bytes: number): Promise<Uint8Array | number> {
    const refused = this.#refusalOf(address, bytes);
    if (refused !== 0) return refused;
    const target = new Uint8Array(bytes);
    const { memory } = this.#options;
    const ret = await this.#copy({ address, bytes, access: 'read' }, (at, start, end) =>
      memory.tryRead(at, target.subarray(start, end)),
    );
    return ret < 0 ? ret : target;
  }

  /** Bytes written, or a negated errno; see `Platform.store`. */
  async store(address: number, source: Uint8Array): Promise<number> {
    const bytes = source.length;
    const refused = this.#refusalOf(address, bytes);
    if (refused !== 0) return refused;
    const { memory } = this.#options;
    return this.#copy({ address, bytes, access: 'write' }, (at, start, end) =>
      memory.tryWrite(at, source.subarray(start, end)),
    );
  }

  #refusalOf(address: number, bytes: number): number {
    if (this.#ended !== 0) return this.#ended;
    const isAddress = Number.isSafeInteger(address) && address >= 0;
    const isLength = Number.isSafeInteger(bytes) && bytes > 0 && bytes <= limits.MEMORY_COPY_BYTES_MAX;
    return isAddress && isLength ? 0 : -errno.EINVAL;
  }

  async #copy(
    { address, bytes, access }: { address: number; bytes: number; access: Access },
    attempt: Try,
  ): Promise<number> {
    let [offset, faults] = [0, 0];
    for (;;) {
      // Asked anew after each fault: the process may have ended meanwhile.
      if (this.#ended !== 0) return this.#ended;
      const reached = this.#advance(address, { start: offset, end: bytes }, attempt);
      if (reached === bytes) return bytes;
      faults = reached > offset ? 1 : faults + 1;
      if (faults > limits.PAGE_FAULT_RETRIES) return -errno.EFAULT;
      offset = reached;
      const ret = await this.#options.pageFault(address + offset, access);
      if (ret < 0) return ret;
    }
  }

  /** Copies piece by piece until a page faults; the offset that it has come to. */
  #advance(address: number, { start, end }: { start: number; end: number }, attempt: Try): number {
    let at = start;
    while (at < end) {
      const pieceEnd = Math.min(end, at + limits.ACCESS_BYTES_MAX);
      at += this.#inEpoch(() => attempt(address + at, at, pieceEnd));
      if (at < pieceEnd) break;
    }
    return at;
  }

  #inEpoch(access: () => number): number {
    const { epoch } = this.#options;
    epoch.enter();
    try {
      return access();
    } finally {
      epoch.leave();
    }
  }
}
