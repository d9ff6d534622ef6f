/**
 * The `round-robin` policy: those that have work take turns of one slice each, in the order in which their work came.
 *
 * - Work conserving: who has no work keeps no turn (F12). Alone, a vcoproc runs without ticks.
 * - Who wakes goes to the tail and preempts nobody (F10).
 * - All time that is charged counts, denied time and switches included (F9). What is used beyond the slice is a debt: the
 *   next turn is shorter by it, and while the debt is a slice or more, turns are skipped. A debt outlives sleep, and time
 *   in which nobody else wants the coproc.
 *
 * The balance of a vcoproc is what is left of its turn; below zero it is its debt. A turn adds one slice to it.
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

interface Entity {
  readonly vcoproc: SchedulableVcoproc;
  balanceNs: number;
}

class RoundRobin implements SchedulerPolicy {
  visited = 0;
  #sliceNs = 0;
  #minRunNs = 0;
  readonly #entities = new Map<number, Entity>();
  /** Those that have work. A set keeps the order of insertion: the first is next, taken out and put in it is last. */
  readonly #queue = new Set<Entity>();
  /** Whose turn it is: it has been given its slice, and is the first of the queue. */
  #turn: Entity | null = null;
  /** The last answer, and for how long it ran since it was loaded. */
  #running: Entity | null = null;
  #ranNs = 0;
  /** It was told to run without a limit: what it uses then is no debt. */
  #isUnlimited = false;

  constructor(parameters: Parameters) {
    this.configure(parameters);
  }

  configure(parameters: Parameters): void {
    this.#sliceNs = parameters.sliceNs!;
    this.#minRunNs = parameters.minRunNs!;
  }

  add(vcoproc: SchedulableVcoproc): void {
    this.#entities.set(vcoproc.id, { vcoproc, balanceNs: 0 });
  }

  remove(vcoproc: SchedulableVcoproc): void {
    this.sleep(vcoproc);
    if (this.#running?.vcoproc.id === vcoproc.id) this.#running = null;
    this.#entities.delete(vcoproc.id);
  }

  wake(vcoproc: SchedulableVcoproc): void {
    this.#queue.add(this.#entities.get(vcoproc.id)!);
  }

  sleep(vcoproc: SchedulableVcoproc): void {
    const entity = this.#entities.get(vcoproc.id)!;
    this.#queue.delete(entity);
    // What is left of a turn is lost, what is owed is not: toggling neither saves time up nor sheds a debt.
    entity.balanceNs = Math.min(entity.balanceNs, 0);
    if (this.#turn === entity) this.#turn = null;
  }

  charge(vcoproc: SchedulableVcoproc, ns: number, kind: ChargeKind): void {
    const entity = this.#entities.get(vcoproc.id);
    if (entity === undefined) return;
    const isRunning = entity === this.#running && kind === 'run';
    if (isRunning) this.#ranNs += ns;
    const least = isRunning && this.#isUnlimited ? Math.min(entity.balanceNs, 0) : -limits.DEBT_NS_MAX;
    entity.balanceNs = Math.max(entity.balanceNs - ns, least);
  }

  adjust(): void {}

  dump(vcoproc: SchedulableVcoproc): Parameters {
    return { balanceNs: this.#entities.get(vcoproc.id)!.balanceNs };
  }

  schedule(_nowNs: number, current: SchedulableVcoproc | null): Decision {
    const loaded = (current !== null && this.#entities.get(current.id)) || null;
    if (loaded !== this.#running) this.#load(loaded, Number.POSITIVE_INFINITY);
    // A context that nobody else wants stays loaded: that costs nothing, a switch would.
    const next = this.#queue.size === 0 ? loaded : this.#choose(loaded);
    if (next !== loaded) this.#load(next, 0);
    this.#isUnlimited = this.#queue.size < 2;
    return { next: next?.vcoproc ?? null, sliceNs: this.#isUnlimited ? null : this.#leftNs(next!) };
  }

  /** `ranNs` is infinite for one that ought to have stopped: it can be switched out at once. */
  #load(entity: Entity | null, ranNs: number): void {
    this.#running = entity;
    this.#ranNs = ranNs;
  }

  #choose(loaded: Entity | null): Entity {
    if (this.#queue.size === 1) return this.#alone();
    if (loaded !== null && this.#queue.has(loaded) && this.#ranNs < this.#minRunNs) return loaded;
    if (this.#turn !== null && this.#turn.balanceNs <= 0) this.#pass(this.#turn);
    return this.#turn ?? this.#nextTurn();
  }

  /** One alone has a turn, so that a wake does not cut it short; but no turn is skipped while nobody gains by it. */
  #alone(): Entity {
    const only = this.#first();
    if (only === this.#turn) return only;
    this.#turn = only;
    if (only.balanceNs + this.#sliceNs > 0) this.#grant(only);
    return only;
  }

  /** Begins turns until one is not used up by a debt. */
  #nextTurn(): Entity {
    for (let skipped = 0; ; skipped++) {
      if (skipped === this.#queue.size) this.#skipRounds();
      const entity = this.#first();
      this.visited += 1;
      this.#grant(entity);
      this.#turn = entity;
      if (entity.balanceNs > 0) return entity;
      this.#pass(entity);
    }
  }

  /** All are in debt by a slice or more: as many rounds at once as nobody can run in. */
  #skipRounds(): void {
    let leastDebtNs = Number.POSITIVE_INFINITY;
    for (const { balanceNs } of this.#queue) leastDebtNs = Math.min(leastDebtNs, -balanceNs);
    const repaidNs = Math.floor(leastDebtNs / this.#sliceNs) * this.#sliceNs;
    for (const entity of this.#queue) entity.balanceNs += repaidNs;
    this.visited += 2 * this.#queue.size;
  }

  #grant(entity: Entity): void {
    entity.balanceNs = Math.min(entity.balanceNs + this.#sliceNs, this.#sliceNs);
  }

  #pass(entity: Entity): void {
    this.#turn = null;
    this.#queue.delete(entity);
    this.#queue.add(entity);
  }

  #first(): Entity {
    const [first] = this.#queue;
    return first!;
  }

  /** Until the end of the turn, but not before it has run for the least time; what that takes more is a debt. */
  #leftNs(entity: Entity): number {
    return Math.max(entity.balanceNs, this.#minRunNs - this.#ranNs, 1);
  }
}

/** Turns of one slice each; see the top of this file. */
export const roundRobinPolicy = definePolicy({
  name: 'round-robin',
  parameters: [
    {
      name: 'sliceNs',
      unit: 'ns',
      least: limits.TIME_SLICE_NS_MIN,
      most: limits.TIME_SLICE_NS_MAX,
      default: limits.TIME_SLICE_NS,
      takesEffect: 'next turn',
      doc: 'How long a turn is. What is used beyond it shortens the next turns.',
    },
    {
      name: 'minRunNs',
      unit: 'ns',
      least: 0,
      most: limits.MIN_RUN_NS_MAX,
      default: limits.MIN_RUN_NS,
      takesEffect: 'next decision',
      doc: 'How long a vcoproc runs at least once it is loaded and has work, even if a debt has made its turn shorter.',
    },
  ],
  vcoprocParameters: [],
  create: (parameters) => new RoundRobin(parameters),
});
