/**
 * The `fair` policy: a weighted fair share of time, with caps, budgets and a class for those that are sensitive to latency.
 *
 * - Who has used least for its weight runs next. All time counts, denied time and switches included (F9), so what is used
 *   beyond a slice is a debt by itself.
 * - Virtual time is the least virtual runtime of those that compete; it never goes back. Who wakes is placed at its own
 *   virtual runtime, or, if it has slept for long, a bound behind virtual time: toggling gains nothing (F10). What it was
 *   behind the others when it went to sleep, because one of them denied, say, it keeps.
 * - A wake preempts nobody before `minRunNs`, and then only that of a latency-sensitive vcoproc, of one with a budget, or of
 *   one that is owed more than a slice.
 * - Those with a budget (a deferrable server) run first, earliest end of period first; the admission test keeps them within
 *   the coproc. Who is over its cap or its budget is held back until it is ready again, whoever else has work.
 *
 * Three heaps hold everybody who has work: `fair` by virtual runtime, `reserved` by deadline, `held` by release. A charge or
 * a decision touches O(log n) of them. Ties are broken by id.
 */
import { limits } from '../../base/limits.js';
import {
  type ChargeKind,
  type Decision,
  definePolicy,
  type Parameters,
  type SchedulableVcoproc,
  type SchedulerPolicy,
} from '../policy.js';
import { FairEntity } from './fair-entity.js';
import { admitBudgets, fairParameters, fairVcoprocParameters } from './fair-parameters.js';
import { IndexedHeap } from './indexed-heap.js';

/** Longest slice, as a multiple of the target: a large weight has its share by more turns instead. */
const SLICE_TARGETS_MAX = 4;
/** Slices of latency-sensitive vcoprocs are shorter by this factor. */
const LATENCY_SLICE_PART = 4;
/** Virtual time at which all virtual runtimes are counted from 0 again: sums stay far below 2^53. */
const VIRTUAL_NS_MAX = 2 ** 50;

const earlier = (keyOf: (entity: FairEntity) => number) => (a: FairEntity, b: FairEntity) =>
  keyOf(a) < keyOf(b) || (keyOf(a) === keyOf(b) && a.vcoproc.id < b.vcoproc.id);

class Fair implements SchedulerPolicy {
  #parameters: Parameters;
  readonly #entities = new Map<number, FairEntity>();
  readonly #fair = new IndexedHeap(earlier(({ virtualNs }) => virtualNs));
  readonly #reserved = new IndexedHeap(earlier(({ budget }) => budget!.endNs));
  readonly #held = new IndexedHeap(earlier(({ releaseNs }) => releaseNs));
  /** Sum of the weights in `fair`. */
  #weights = 0;
  #virtualNowNs = 0;
  #renumbered = 0;
  /** The last answer, for how long it ran since it was loaded, and what is left of its slice. */
  #running: FairEntity | null = null;
  #ranNs = 0;
  #leftNs = 0;

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
  }

  get visited(): number {
    return this.#fair.visited + this.#reserved.visited + this.#held.visited + this.#renumbered;
  }

  add(vcoproc: SchedulableVcoproc, parameters: Parameters, nowNs: number): void {
    this.#entities.set(vcoproc.id, new FairEntity(vcoproc, this.#virtualNowNs));
    this.adjust(vcoproc, parameters, nowNs);
  }

  remove(vcoproc: SchedulableVcoproc, nowNs: number): void {
    this.sleep(vcoproc, nowNs);
    if (this.#running?.vcoproc.id === vcoproc.id) this.#running = null;
    this.#entities.delete(vcoproc.id);
  }

  wake(vcoproc: SchedulableVcoproc, nowNs: number): void {
    const entity = this.#entities.get(vcoproc.id)!;
    entity.hasWork = true;
    this.#place(entity, nowNs);
  }

  sleep(vcoproc: SchedulableVcoproc, nowNs: number): void {
    const entity = this.#entities.get(vcoproc.id)!;
    const wasFair = entity.heap === this.#fair;
    entity.hasWork = false;
    this.#place(entity, nowNs);
    const claimNs = wasFair ? this.#virtualNowNs - entity.virtualNs : 0;
    entity.claimNs = Math.min(Math.max(claimNs, 0), entity.virtualOf(limits.CLAIM_NS_MAX));
  }

  charge(vcoproc: SchedulableVcoproc, ns: number, kind: ChargeKind, nowNs: number): void {
    const entity = this.#entities.get(vcoproc.id);
    if (entity === undefined) return;
    if (entity === this.#running && kind === 'run') {
      this.#ranNs += ns;
      this.#leftNs -= ns;
    }
    entity.spend(ns, nowNs);
    // A budget is paid for by the admission test, not out of the fair share.
    if (entity.budget === null) entity.use(ns, this.#virtualNowNs);
    this.#place(entity, nowNs);
  }

  adjust(vcoproc: SchedulableVcoproc, parameters: Parameters, nowNs: number): void {
    const entity = this.#entities.get(vcoproc.id)!;
    // The heap is left and entered again: weight and kind may be others.
    this.#leave(entity);
    entity.adjust(parameters, this.#portionNs(parameters.cap!), nowNs);
    this.#place(entity, nowNs);
    if (entity === this.#running) this.#leftNs = 0;
  }

  configure(parameters: Parameters, nowNs: number): void {
    this.#parameters = parameters;
    for (const { cap } of this.#entities.values()) {
      cap?.change(cap.percent, this.#portionNs(cap.percent), nowNs);
    }
  }

  dump(vcoproc: SchedulableVcoproc): Parameters {
    const { virtualNs, claimNs, cap, budget } = this.#entities.get(vcoproc.id)!;
    return {
      aheadNs: virtualNs - this.#virtualNowNs,
      claimNs,
      ...(cap === null ? {} : { capCreditNs: cap.creditNs }),
      ...(budget === null ? {} : { budgetLeftNs: budget.leftNs }),
    };
  }

  schedule(nowNs: number, current: SchedulableVcoproc | null): Decision {
    const loaded = (current !== null && this.#entities.get(current.id)) || null;
    // It ought to have stopped and denied to: there is nothing left of its slice, nor of the time that it is granted.
    if (loaded !== this.#running) this.#load(loaded, { ranNs: Number.POSITIVE_INFINITY, leftNs: 0 });
    this.#release(nowNs);
    const chosen = this.#choose();
    if (chosen === null) return this.#idle(loaded, nowNs);
    if (chosen !== loaded) this.#load(chosen, { ranNs: 0, leftNs: 0 });
    if (this.#leftNs <= 0) this.#leftNs = this.#sliceNs(chosen);
    const limitNs = this.#limitNs(chosen, nowNs);
    return { next: chosen.vcoproc, sliceNs: limitNs === Number.POSITIVE_INFINITY ? null : limitNs };
  }

  #load(entity: FairEntity | null, { ranNs, leftNs }: { ranNs: number; leftNs: number }): void {
    this.#running = entity;
    this.#ranNs = ranNs;
    this.#leftNs = leftNs;
  }

  /** Nobody may run. Who has no work stays loaded, that costs nothing; who is held back must stop. */
  #idle(loaded: FairEntity | null, nowNs: number): Decision {
    const next = loaded?.hasWork ? null : loaded;
    this.#load(next, { ranNs: 0, leftNs: 0 });
    const first = this.#held.first;
    return { next: next?.vcoproc ?? null, sliceNs: first === undefined ? null : first.releaseNs - nowNs };
  }

  #isReady(entity: FairEntity | null): entity is FairEntity {
    return entity !== null && (entity.heap === this.#fair || entity.heap === this.#reserved);
  }

  #choose(): FairEntity | null {
    const running = this.#running;
    if (this.#isReady(running) && this.#leftNs > 0) {
      const urgent = this.#urgent(running);
      return urgent === null || this.#ranNs < this.#parameters.minRunNs! ? running : urgent;
    }
    return this.#reserved.first ?? this.#fair.first ?? null;
  }

  /** Who may take the coproc before the slice of `running` is over. */
  #urgent(running: FairEntity): FairEntity | null {
    const reserved = this.#reserved.first;
    if (reserved !== undefined && reserved !== running) {
      if (running.budget === null || reserved.budget!.endNs < running.budget.endNs) return reserved;
    }
    if (running.budget !== null) return null;
    const first = this.#fair.first;
    return first !== undefined && first.virtualNs + this.#leadNs(first, running) < running.virtualNs
      ? first
      : null;
  }

  /** How far `running` may get ahead of `first` within its slice: as far as sleep and a slice explain. More is a debt. */
  #leadNs(first: FairEntity, running: FairEntity): number {
    if (first.isLatencySensitive) return 0;
    const { latencyTargetNs } = this.#parameters;
    return first.virtualOf(latencyTargetNs!) + running.virtualOf(latencyTargetNs! * SLICE_TARGETS_MAX);
  }

  /** The part that its weight is of all, of a round of all. With a budget there are no slices, only its end. */
  #sliceNs(entity: FairEntity): number {
    if (entity.budget !== null) return Number.POSITIVE_INFINITY;
    const { latencyTargetNs, minSliceNs } = this.#parameters;
    const partNs = (latencyTargetNs! * this.#fair.size * entity.weight) / this.#weights;
    const wantedNs = Math.floor(Math.min(partNs, latencyTargetNs! * SLICE_TARGETS_MAX));
    const sliceNs = entity.isLatencySensitive ? Math.floor(wantedNs / LATENCY_SLICE_PART) : wantedNs;
    return Math.max(sliceNs, minSliceNs!);
  }

  /** When the policy has to be asked again at the latest. Nobody to share with, and nothing to watch: never. */
  #limitNs(running: FairEntity, nowNs: number): number {
    const isAlone = this.#fair.size + this.#reserved.size === 1;
    let limitNs = Math.min(isAlone ? Number.POSITIVE_INFINITY : this.#leftNs, running.runwayNs(nowNs));
    const first = this.#held.first;
    if (first !== undefined) limitNs = Math.min(limitNs, first.releaseNs - nowNs);
    if (this.#urgent(running) !== null) limitNs = Math.min(limitNs, this.#parameters.minRunNs! - this.#ranNs);
    return Math.max(limitNs, 1);
  }

  /** Lets go who was held back and is ready now, and begins the periods that have begun. */
  #release(nowNs: number): void {
    for (
      let first = this.#held.first;
      first !== undefined && first.releaseNs <= nowNs;
      first = this.#held.first
    ) {
      this.#place(first, nowNs);
    }
    for (let first = this.#reserved.first; first !== undefined && first.budget!.endNs <= nowNs; ) {
      first.budget!.catchUp(nowNs);
      this.#reserved.moved(first);
      first = this.#reserved.first;
    }
  }

  /** Puts an entity into the heap where it belongs, at its place. */
  #place(entity: FairEntity, nowNs: number): void {
    entity.releaseNs = entity.readyNs(nowNs);
    const heap = this.#heapOf(entity, nowNs);
    if (heap === entity.heap) heap?.moved(entity);
    else {
      this.#leave(entity);
      if (heap === this.#fair) this.#join(entity);
      else heap?.add(entity);
    }
    this.#advance();
  }

  #heapOf(entity: FairEntity, nowNs: number): IndexedHeap<FairEntity> | null {
    if (!entity.hasWork) return null;
    if (entity.releaseNs > nowNs) return this.#held;
    return entity.budget === null ? this.#fair : this.#reserved;
  }

  #leave(entity: FairEntity): void {
    if (entity.heap === this.#fair) this.#weights -= entity.weight;
    entity.heap?.remove(entity);
  }

  #join(entity: FairEntity): void {
    const targets = entity.isLatencySensitive ? 2 : 1;
    const boundNs = entity.virtualOf(targets * this.#parameters.latencyTargetNs!);
    const behindNs = Math.max(boundNs, entity.claimNs);
    entity.virtualNs = Math.max(entity.virtualNs, this.#virtualNowNs - behindNs);
    entity.claimNs = 0;
    this.#weights += entity.weight;
    this.#fair.add(entity);
  }

  /** Virtual time follows the least virtual runtime, and never goes back. */
  #advance(): void {
    this.#virtualNowNs = Math.max(this.#virtualNowNs, this.#fair.first?.virtualNs ?? 0);
    if (this.#virtualNowNs < VIRTUAL_NS_MAX) return;
    const baseNs = this.#virtualNowNs;
    // The order of the heap stays: all are moved alike, but for sleepers so far behind that it makes no difference.
    for (const entity of this.#entities.values())
      entity.virtualNs = Math.max(entity.virtualNs - baseNs, -baseNs);
    this.#virtualNowNs = 0;
    this.#renumbered += this.#entities.size;
  }

  /** What a capped vcoproc may use at a stretch after a rest; it is let go when half of it is there. */
  #portionNs(percent: number): number {
    const { capWindowNs, latencyTargetNs, minSliceNs } = this.#parameters;
    const windowPartNs = Math.floor((capWindowNs! * percent) / 100);
    return Math.min(Math.max(windowPartNs, 2 * minSliceNs!), latencyTargetNs!);
  }
}

/** Weighted fair shares with caps, budgets and latency classes; see the top of this file. */
export const fairPolicy = definePolicy({
  name: 'fair',
  parameters: fairParameters,
  vcoprocParameters: fairVcoprocParameters,
  admit: admitBudgets,
  create: (parameters) => new Fair(parameters),
});
