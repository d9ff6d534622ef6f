/**
 * Queues that were lost, asked for again until their devices are back: engines are restarted. Each request that comes
 * may cause one attempt, at most one at a time and with growing pauses in between; no timer runs, so a machine without
 * requests is left alone.
 */
import { limits } from '../src/base/limits.js';
import { NS_PER_MS } from '../src/base/units.js';
import type { Platform } from '../src/uapi/syscall.js';
import type { Ctx } from './ctx.js';

/** A queue that is wanted again. */
interface LostQueue {
  readonly device: string;
  readonly qcType: 0 | 1;
  delayNs: number;
  nextNs: number;
  asking: boolean;
}

/** Opens a queue on `device` in the place of the lost one; answers whether it is there. */
export type Reopen = (device: string, qcType: 0 | 1) => Promise<boolean>;

export class QueueRevival {
  readonly #platform: Platform;
  readonly #reopen: Reopen;
  readonly #lost = new Map<string, LostQueue>();

  constructor(platform: Platform, reopen: Reopen) {
    this.#platform = platform;
    this.#reopen = reopen;
  }

  /** A ctx was lost. One that never served is asked for again later and later: its device may be broken for good. */
  lose({ device, qcType, completed }: Ctx): void {
    const known = this.#lost.get(device);
    const least = limits.REOPEN_MS * NS_PER_MS;
    const delayNs = known === undefined || completed > 0 ? least : longer(known.delayNs);
    const nextNs = this.#platform.nowNs() + delayNs;
    this.#lost.set(device, { device, qcType, delayNs, nextNs, asking: false });
  }

  /** A request has come: time to ask again? */
  tick(): void {
    if (this.#lost.size === 0) return;
    const nowNs = this.#platform.nowNs();
    for (const queue of this.#lost.values()) {
      if (!queue.asking && nowNs >= queue.nextNs) void this.#ask(queue);
    }
  }

  async #ask(queue: LostQueue): Promise<void> {
    queue.asking = true;
    const back = await this.#reopen(queue.device, queue.qcType);
    queue.asking = back;
    queue.delayNs = longer(queue.delayNs);
    queue.nextNs = this.#platform.nowNs() + queue.delayNs;
  }
}

function longer(delayNs: number): number {
  return Math.min(delayNs * 2, limits.REOPEN_MS_MAX * NS_PER_MS);
}
