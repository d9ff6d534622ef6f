// A scheduling policy of one's own: who has waited longest, times its urgency, runs next. It is tried without a machine.
import {
  type Decision,
  definePolicy,
  type Parameters,
  PolicyBench,
  policyConformance,
  type SchedulableVcoproc,
  type SchedulerPolicy,
} from 'warpdrive/policy';

interface Waiter {
  readonly vcoproc: SchedulableVcoproc;
  urgency: number;
  hasWork: boolean;
  /** Since when it has waited, ns. */
  sinceNs: number;
}

class LongestWait implements SchedulerPolicy {
  visited = 0;
  #turnNs: number;
  #turn: { waiter: Waiter; endNs: number } | null = null;
  readonly #waiters = new Map<number, Waiter>();

  constructor({ turnNs }: Parameters) {
    this.#turnNs = turnNs!;
  }

  add(vcoproc: SchedulableVcoproc, { urgency }: Parameters): void {
    this.#waiters.set(vcoproc.id, { vcoproc, urgency: urgency!, hasWork: false, sinceNs: 0 });
  }

  remove({ id }: SchedulableVcoproc): void {
    this.#waiters.delete(id);
  }

  wake({ id }: SchedulableVcoproc, nowNs: number): void {
    Object.assign(this.#waiters.get(id)!, { hasWork: true, sinceNs: nowNs });
  }

  sleep({ id }: SchedulableVcoproc): void {
    this.#waiters.get(id)!.hasWork = false;
  }

  schedule(nowNs: number, current: SchedulableVcoproc | null): Decision {
    const loaded = (current && this.#waiters.get(current.id)) || null;
    const able = [...this.#waiters.values()].filter(({ hasWork }) => hasWork);
    this.visited += this.#waiters.size;
    if (able.length === 0) return { next: loaded && current, sliceNs: null };
    const isOver = loaded === null || loaded !== this.#turn?.waiter || nowNs >= this.#turn.endNs;
    if (loaded !== null && isOver) loaded.sinceNs = nowNs;
    if (!loaded?.hasWork || isOver)
      this.#turn = { waiter: this.#longest(able, nowNs), endNs: nowNs + this.#turnNs };
    // Alone, nobody has to be looked for: no tick.
    const sliceNs = able.length === 1 ? null : this.#turn!.endNs - nowNs;
    return { next: this.#turn!.waiter.vcoproc, sliceNs };
  }

  #longest(able: readonly Waiter[], nowNs: number): Waiter {
    const waited = ({ sinceNs, urgency }: Waiter): number => (nowNs - sinceNs) * urgency;
    // The first that came wins a tie: decisions do not depend on chance.
    return able.reduce((longest, waiter) => (waited(waiter) > waited(longest) ? waiter : longest));
  }

  adjust({ id }: SchedulableVcoproc, { urgency }: Parameters): void {
    this.#waiters.get(id)!.urgency = urgency!;
  }

  configure({ turnNs }: Parameters): void {
    this.#turnNs = turnNs!;
  }

  // What was used, and whether it was denied, does not matter to it: it promises waits, not shares.
  charge(): void {}

  dump({ id }: SchedulableVcoproc): Parameters {
    return { sinceNs: this.#waiters.get(id)!.sinceNs };
  }
}

const next = { least: 1, takesEffect: 'next decision' };
const longestWait = definePolicy({
  name: 'longest-wait',
  parameters: [
    {
      ...next,
      name: 'turnNs',
      unit: 'ns',
      least: 100_000,
      most: 1e9,
      default: 5e6,
      doc: 'Length of a turn.',
    },
  ],
  vcoprocParameters: [
    { ...next, name: 'urgency', unit: '1', most: 100, default: 1, doc: 'How much its waiting counts.' },
  ],
  create: (parameters) => new LongestWait(parameters),
});

const checks = policyConformance(longestWait);
for (const { check } of checks) check();
console.log(`${checks.length} checks passed`);

const bench = new PolicyBench(longestWait);
const vcoprocs = [1, 1, 1, 10].map((urgency) => bench.add({ urgency }));
bench.wake(...vcoprocs);
bench.runFor(1e9);
for (const [index, vcoproc] of vcoprocs.entries()) {
  console.log(`vcoproc ${index} waited for ${bench.account(vcoproc).worstWaitNs / 1e6} ms at most`);
}
