/**
 * Which ctxs a pool has open: one group for each set of devices and direction, opened when first asked for. Also
 * watches over them: a ctx that makes no progress for long is looked after with a system call.
 */
import { limits } from '../src/base/limits.js';
import { type Platform, pollEvent } from '../src/uapi/syscall.js';
import { Ctx } from './ctx.js';
import { CtxGroup } from './ctx-group.js';
import { type DeviceInfo, type OpenedQueue, openQueue } from './devices.js';

/** What a pool uses, for people to look at. */
export interface QueueInUse {
  readonly device: string;
  readonly queue: number;
  /** 0 or 1, the direction of the queue. */
  readonly qcType: number;
  readonly completed: number;
  readonly inFlight: number;
}

export class CtxDirectory {
  readonly #platform: Platform;
  readonly #groups = new Map<string, CtxGroup>();
  /** The same groups by the very list of devices that was asked for, per direction. */
  readonly #byDevices = [
    new WeakMap<readonly DeviceInfo[], CtxGroup>(),
    new WeakMap<readonly DeviceInfo[], CtxGroup>(),
  ] as const;
  readonly #opening = new Map<CtxGroup, Promise<void>>();
  readonly #fds: number[] = [];
  #watch: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** The group for `devices` and a direction. Its ctxs appear as they are opened; requests may be added at once. */
  group(devices: readonly DeviceInfo[], qcType: 0 | 1): CtxGroup {
    return this.#byDevices[qcType].get(devices) ?? this.#find(devices, qcType);
  }

  #find(devices: readonly DeviceInfo[], qcType: 0 | 1): CtxGroup {
    const group = this.#groupByNames(devices, qcType);
    this.#byDevices[qcType].set(devices, group);
    return group;
  }

  #groupByNames(devices: readonly DeviceInfo[], qcType: 0 | 1): CtxGroup {
    const key = groupKey(devices, qcType);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group = new CtxGroup();
    this.#groups.set(key, group);
    this.#opening.set(
      group,
      this.#open(group, devices, qcType).finally(() => this.#opening.delete(group)),
    );
    this.#watch ??= this.#startWatch();
    return group;
  }

  /** Whether queues on `devices` were opened, and not one is left. Opens none. */
  isLost(devices: readonly DeviceInfo[], qcType: 0 | 1): boolean {
    return this.#groups.get(groupKey(devices, qcType))?.closed === true;
  }

  /** Opens the queues of a group now, and answers how many are open once each has been opened or refused. */
  async ready(devices: readonly DeviceInfo[], qcType: 0 | 1): Promise<number> {
    const group = this.group(devices, qcType);
    await this.#opening.get(group);
    return group.ctxs.length;
  }

  /** Launches whatever waits anywhere: memory has come back. */
  dispatchAll(): void {
    // Twice: a group that cannot launch gives up what it holds, and one before it may have needed that.
    for (let pass = 0; pass < 2; pass++) for (const group of this.#groups.values()) group.dispatch();
  }

  queuesInUse(): QueueInUse[] {
    return this.#ctxs().map(({ device, queueNumber, qcType, completed, inFlight }) => ({
      device,
      queue: queueNumber,
      qcType,
      completed,
      inFlight,
    }));
  }

  /** Closes every queue. The caller has seen that nothing is in flight. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watch ?? undefined);
    await Promise.all(this.#opening.values());
    await Promise.all(this.#fds.map((fd) => this.#platform.syscall({ call: 'close', fd })));
  }

  #ctxs(): Ctx[] {
    return [...this.#groups.values()].flatMap(({ ctxs }) => ctxs);
  }

  async #open(group: CtxGroup, devices: readonly DeviceInfo[], qcType: 0 | 1): Promise<void> {
    const failures: string[] = [];
    await Promise.all(
      devices.map(async ({ name }) => {
        const opened = await openQueue(this.#platform, name, qcType);
        if (opened.isErr()) {
          failures.push(opened.error.message);
          return;
        }
        this.#fds.push(opened.value.fd);
        if (!this.#closed) this.#add(group, opened.value);
      }),
    );
    if (group.ctxs.length === 0) group.abandonAll(failures.join('; ') || 'no queue could be opened');
  }

  #add(group: CtxGroup, queue: OpenedQueue): void {
    const ctx = new Ctx({
      ...queue,
      platform: this.#platform,
      interrupted: () => group.look(),
      roomMade: () => group.dispatch(),
      wasLost: (lost) => group.drop(lost, lost.lostReason ?? 'lost'),
    });
    group.open(ctx);
  }

  /** Looks after ctxs whose requests do not move: the backstop for a loss that nothing announced. */
  #startWatch(): NodeJS.Timeout {
    const seen = new Map<Ctx, number>();
    return setInterval(() => {
      for (const ctx of this.#ctxs()) {
        const stuck = ctx.inFlight > 0 && seen.get(ctx) === ctx.completed;
        seen.set(ctx, ctx.completed);
        if (stuck) void this.#lookAfter(ctx);
      }
    }, limits.STALL_BACKSTOP_MS).unref();
  }

  async #lookAfter(ctx: Ctx): Promise<void> {
    const { ret } = await this.#platform.syscall({ call: 'poll', fd: ctx.fd });
    if (ret < 0 || (ret & (pollEvent.ERR | pollEvent.HUP)) !== 0) ctx.fail('its queue is out of service');
    else ctx.reap();
  }
}

function groupKey(devices: readonly DeviceInfo[], qcType: 0 | 1): string {
  return `${qcType} ${devices.map(({ name }) => name).join(' ')}`;
}
