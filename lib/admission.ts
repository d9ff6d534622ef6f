/**
 * The bounded queue of a pool: how many requests and input bytes it holds before it answers Busy, and whether the
 * program may exit.
 *
 * While requests are held the platform is referenced, so the program stays; afterwards it is released a little
 * later, because taking and dropping the reference for every request of a burst would cost more than the burst.
 */
import type { Busy } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { Platform } from '../src/uapi/syscall.js';
import { busy } from './failures.js';

export class Admission {
  readonly #platform: Platform;
  #requests = 0;
  #inputBytes = 0;
  #referenced = false;
  #release: NodeJS.Timeout | null = null;
  #idleCallbacks: (() => void)[] = [];

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  get requests(): number {
    return this.#requests;
  }

  /** Takes a request in and answers null, or answers Busy with nothing changed. */
  enter(bytes: number): Busy | null {
    if (this.#requests >= limits.POOL_REQUESTS_MAX) {
      return busy(`the pool holds ${this.#requests} requests`, limits.UNREF_DELAY_MS);
    }
    // One request is always admitted, however large: otherwise it never could be.
    if (this.#inputBytes + bytes > limits.POOL_INPUT_BYTES_MAX && this.#requests > 0) {
      return busy(`the pool holds ${this.#inputBytes} bytes of input`, limits.UNREF_DELAY_MS);
    }
    this.#requests += 1;
    this.#inputBytes += bytes;
    if (!this.#referenced) this.#reference();
    return null;
  }

  leave(bytes: number): void {
    this.#requests -= 1;
    this.#inputBytes -= bytes;
    if (this.#requests > 0) return;
    this.#release ??= setTimeout(() => this.#unreference(), limits.UNREF_DELAY_MS).unref();
    if (this.#idleCallbacks.length > 0) for (const callback of this.#idleCallbacks.splice(0)) callback();
  }

  /** Resolves when no request is held. */
  async idle(): Promise<void> {
    // Looked at again: a request that goes on another way leaves and enters at once.
    while (this.#requests > 0) await new Promise<void>((resolve) => this.#idleCallbacks.push(resolve));
  }

  #reference(): void {
    this.#referenced = true;
    this.#platform.ref();
  }

  #unreference(): void {
    this.#release = null;
    if (this.#requests > 0 || !this.#referenced) return;
    this.#referenced = false;
    this.#platform.unref();
  }
}
