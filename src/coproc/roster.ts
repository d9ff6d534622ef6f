/**
 * Who shares a coproc: its vcoprocs and the numbers of their contexts, which of them have work, what the policy has been
 * told of them, and what each has used. It keeps the policy's picture and the machine's the same; who runs is decided and
 * done in scheduler.ts.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import type { Clock } from '../hw/clock.js';
import { type Account, Ledger, type LedgerSnapshot } from './ledger.js';
import type { Decision, Parameters, PolicyModule, SchedulableVcoproc, SchedulerPolicy } from './policy.js';
import type { SwitchPayer } from './scheduler-parts.js';
import { type Vcoproc, vcoprocState } from './vcoproc.js';

const { SLEEPING, WAITING, ISOLATED } = vcoprocState;

/** Parameters of a vcoproc under a policy, complete and checked. */
export type ParametersOf = (vcoproc: Vcoproc, policy: PolicyModule) => Parameters;

export class Roster {
  readonly #clock: Clock;
  readonly #ledger: Ledger;
  readonly #vcoprocs = new Map<number, Vcoproc>();
  /** By the number of their context on the hardware: also those whose context is being destroyed. */
  readonly #contexts = new Map<number, Vcoproc>();
  /** Those that the policy was told have work. */
  readonly #awake = new Set<Vcoproc>();
  /** Being destroyed, and who waits for it: the policy has forgotten them. */
  readonly #leaving = new Map<Vcoproc, () => void>();
  #module: PolicyModule;
  #policy: SchedulerPolicy;

  constructor(clock: Clock, policy: PolicyModule, parameters: Parameters) {
    this.#clock = clock;
    this.#ledger = new Ledger(clock.nowNs());
    this.#module = policy;
    this.#policy = policy.create(parameters);
  }

  /** Those that are being destroyed included. */
  get vcoprocs(): readonly Vcoproc[] {
    return [...this.#vcoprocs.values()];
  }

  get policyModule(): PolicyModule {
    return this.#module;
  }

  get policy(): SchedulerPolicy {
    return this.#policy;
  }

  /** Whether more than one owner shares the coproc. */
  get shared(): boolean {
    return this.#vcoprocs.size > 1;
  }

  /** Being destroyed, and who is told of its end. */
  get leaving(): readonly (readonly [Vcoproc, () => void])[] {
    return [...this.#leaving];
  }

  isLeaving(vcoproc: Vcoproc): boolean {
    return this.#leaving.has(vcoproc);
  }

  isAwake(vcoproc: Vcoproc): boolean {
    return this.#awake.has(vcoproc);
  }

  /** Whether `current`, the one that is loaded, has work on a coproc that others share. */
  worksBesideOthers(current: Vcoproc | null): boolean {
    return this.shared && current !== null && this.#awake.has(current);
  }

  /** The owner of a context; null when it is gone, or never was. */
  ownerOf(context: number): Vcoproc | null {
    const owner = this.#contexts.get(context);
    return owner !== undefined && this.#vcoprocs.has(owner.id) ? owner : null;
  }

  /** A new vcoproc; it gets the number of a context that is free. */
  add(vcoproc: Vcoproc, parameters: Parameters): void {
    vcoproc.context = this.#freeContext();
    this.#contexts.set(vcoproc.context, vcoproc);
    this.#vcoprocs.set(vcoproc.id, vcoproc);
    this.#policy.add(vcoproc, parameters, this.#clock.nowNs());
  }

  /** Its end begins: from now on it is nobody's choice. */
  beginRemoval(vcoproc: Vcoproc, done: () => void): void {
    const isHere = this.#vcoprocs.get(vcoproc.id) === vcoproc && !this.#leaving.has(vcoproc);
    assert(isHere, 'a vcoproc is removed once');
    this.charge(this.#ledger.account);
    this.#policy.remove(vcoproc, this.#clock.nowNs());
    this.#awake.delete(vcoproc);
    this.#leaving.set(vcoproc, done);
  }

  /** It is not loaded any more. Its context stays taken until `freeContextOf`. */
  endRemoval(vcoproc: Vcoproc): void {
    this.#leaving.delete(vcoproc);
    this.#vcoprocs.delete(vcoproc.id);
    this.#ledger.forget(vcoproc.id);
    vcoproc.interrupts.drop();
  }

  /** The hardware has forgotten the context. */
  freeContextOf(vcoproc: Vcoproc): void {
    if (this.#contexts.get(vcoproc.context) === vcoproc) this.#contexts.delete(vcoproc.context);
  }

  /** The hardware has forgotten all contexts: those of vcoprocs that are gone are free. */
  freeContextsOfTheGone(): void {
    for (const vcoproc of this.#contexts.values()) {
      if (!this.#vcoprocs.has(vcoproc.id)) this.freeContextOf(vcoproc);
    }
  }

  /** Puts another policy in place, which is told of everybody and of who has work. */
  changePolicy(module: PolicyModule, parameters: Parameters, parametersOf: ParametersOf): void {
    this.charge(this.#ledger.account);
    const nowNs = this.#clock.nowNs();
    this.#module = module;
    this.#policy = module.create(parameters);
    for (const vcoproc of this.#vcoprocs.values()) {
      if (this.#leaving.has(vcoproc)) continue;
      this.#policy.add(vcoproc, parametersOf(vcoproc, module), nowNs);
      if (this.#awake.has(vcoproc)) this.#policy.wake(vcoproc, nowNs);
    }
  }

  /** Whether it has work that the policy was not told of, or the other way round; null when nothing changed. */
  workChange(vcoproc: Vcoproc): 'wakes' | 'sleeps' | null {
    if (!this.#vcoprocs.has(vcoproc.id) || this.#leaving.has(vcoproc)) return null;
    const wants = vcoproc.wanted || (this.shared ? vcoproc.busy : vcoproc.started);
    const has = wants && vcoproc.state !== ISOLATED;
    if (has === this.#awake.has(vcoproc)) return null;
    return has ? 'wakes' : 'sleeps';
  }

  wake(vcoproc: Vcoproc): void {
    this.#awake.add(vcoproc);
    this.#policy.wake(vcoproc, this.#clock.nowNs());
  }

  sleep(vcoproc: Vcoproc): void {
    if (!this.#awake.delete(vcoproc)) return;
    this.charge(this.#ledger.account);
    this.#policy.sleep(vcoproc, this.#clock.nowNs());
  }

  /** The policy's choice, with `current` loaded. Somebody who may not run counts as nobody. */
  choose(current: Vcoproc | null): { readonly next: Vcoproc | null; readonly sliceNs: number | null } {
    const known = current !== null && this.#leaving.has(current) ? null : current;
    const { next, sliceNs }: Decision = this.#policy.schedule(this.#clock.nowNs(), known);
    return { next: this.#checked(next, current), sliceNs };
  }

  /** It is not loaded: its state says whether it waits. */
  standBy(vcoproc: Vcoproc): void {
    const state = this.#awake.has(vcoproc) ? WAITING : SLEEPING;
    if (vcoproc.state !== ISOLATED && vcoproc.state !== state) vcoproc.enter(state);
  }

  /** Who pays while `current` is loaded, or nobody is, and nothing is switched. `denies`: it was to stop and did not. */
  settledAccount(current: Vcoproc | null, denies: boolean): Account {
    if (current === null) return { vcoproc: null, kind: 'idle' };
    if (denies) return { vcoproc: current.id, kind: 'denied' };
    return this.#awake.has(current) ? { vcoproc: current.id, kind: 'run' } : { vcoproc: null, kind: 'idle' };
  }

  /** Who pays for a switch: one of the two, unless it is being destroyed, or the coproc itself. */
  switchAccount(by: SwitchPayer, from: Vcoproc | null, to: Vcoproc | null): Account {
    const payer = by === 'from' ? from : by === 'to' ? to : null;
    if (payer === null || this.#leaving.has(payer)) return { vcoproc: null, kind: 'switch' };
    return { vcoproc: payer.id, kind: 'switch' };
  }

  /** Closes the stretch of time that ends now, tells the policy, and lets `next` pay from here on. */
  charge(next: Account): void {
    const nowNs = this.#clock.nowNs();
    const { account, ns } = this.#ledger.turnTo(next, nowNs);
    if (account.vcoproc === null || ns === 0) return;
    const vcoproc = this.#vcoprocs.get(account.vcoproc);
    if (vcoproc === undefined || this.#leaving.has(vcoproc)) return;
    this.#policy.charge(vcoproc, ns, account.kind, nowNs);
  }

  ledger(): LedgerSnapshot {
    return this.#ledger.snapshot(this.#clock.nowNs());
  }

  #checked(next: SchedulableVcoproc | null, current: Vcoproc | null): Vcoproc | null {
    const vcoproc = next === null ? undefined : this.#vcoprocs.get(next.id);
    if (vcoproc === undefined || this.#leaving.has(vcoproc)) return null;
    return this.#awake.has(vcoproc) || vcoproc === current ? vcoproc : null;
  }

  #freeContext(): number {
    let context = 0;
    while (this.#contexts.has(context)) context += 1;
    assert(context < limits.CONTEXTS_PER_INSTANCE, 'an instance has a context for each of its vcoprocs');
    return context;
  }
}
