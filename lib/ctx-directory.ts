/**
 * Which ctxs a pool has open: one group for each set of devices and direction, opened when first asked for. Also
 * watches over them: a ctx that makes no progress for long is looked after with a system call.
 */
import { limits } from '../src/base/limits.js';
import { type Platform, pollEvent } from '../src/uapi/syscall.js';
import { BatchInHand } from './batch-in-hand.js';
import { Ctx } from './ctx.js';
import { CtxGroup } from './ctx-group.js';
import { type DeviceInfo, type OpenedQueue, openQueue } from './devices.js';
import type { InFlightWindow } from './in-flight-window.js';
import { QueueRevival } from './queue-revival.js';

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
  readonly #fds = new Set<number>();
  readonly #window: InFlightWindow;
  /** What is being submitted now. */
  #batch: BatchInHand | null = null;
  #watch: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(platform: Platform, window: InFlightWindow) {
    this.#platform = platform;
    this.#window = window;
  }

  /** Submits the `requests` requests that `submit` submits with one doorbell for each queue. */
  withOneDoorbell(requests: number, submit: () => void): void {
    const outer = this.#batch;
    this.#batch = new BatchInHand(requests);
    try {
      submit();
    } finally {
      this.#batch = outer;
    }
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
    const group: CtxGroup = new CtxGroup(
      this.#window,
      new QueueRevival(this.#platform, (device, type) => this.#reopen(group, device, type)),
    );
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
    const group = this.known(devices, qcType);
    group?.revive();
    return group?.closed === true;
  }

  /** The group if it is there; opens nothing. */
  known(devices: readonly DeviceInfo[], qcType: 0 | 1): CtxGroup | undefined {
    return this.#groups.get(groupKey(devices, qcType));
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
    // A stream that was left open finds its ctx out of service, not memory that has gone to somebody else.
    for (const ctx of this.#ctxs()) ctx.fail('the pool was closed');
    await Promise.all([...this.#fds].map((fd) => this.#platform.syscall({ call: 'close', fd })));
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
        this.#fds.add(opened.value.fd);
        if (!this.#closed) this.#add(group, opened.value);
      }),
    );
    if (group.ctxs.length === 0) group.abandonAll(failures.join('; ') || 'no queue could be opened');
  }

  #add(group: CtxGroup, queue: OpenedQueue): void {
    const ctx = new Ctx({
      ...queue,
      platform: this.#platform,
      window: this.#window,
      batch: () => this.#batch,
      siblings: () => group.ctxs.length,
      hasWaiting: () => group.hasWaiting,
      interrupted: () => group.look(),
      // Requests of other groups may wait for room in the window, if there is one.
      roomMade: () => (this.#window.limited ? this.dispatchAll() : group.dispatch()),
      wasLost: (lost) => {
        group.drop(lost, lost.lostReason ?? 'lost');
        this.#closeLost(lost);
      },
    });
    group.open(ctx);
  }

  /** Opens a queue in the place of a lost one; false when it cannot be had now. */
  async #reopen(group: CtxGroup, device: string, qcType: 0 | 1): Promise<boolean> {
    const opened = this.#closed ? null : await openQueue(this.#platform, device, qcType);
    if (opened === null || opened.isErr()) return false;
    const queue = opened.value;
    this.#fds.add(queue.fd);
    if (!this.#closed) this.#add(group, queue);
    else await this.#platform.syscall({ call: 'close', fd: queue.fd });
    return true;
  }

  #closeLost({ fd }: Ctx): void {
    this.#fds.delete(fd);
    void this.#platform.syscall({ call: 'close', fd });
  }

  /** Looks after ctxs whose requests do not move: the backstop for a loss that nothing announced. */
  #startWatch(): NodeJS.Timeout {
    const seen = new WeakMap<Ctx, number>();
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
