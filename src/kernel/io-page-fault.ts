/**
 * IO page faults: what devices ask for, resolved in the address space that their PASID names.
 *
 * Two kinds of question come in. A *page request group* has one or more members; each is resolved as it arrives, and the
 * group is answered after its last member, with the worst of its results. A *stalled* access stands for itself. Either is
 * one entry of one table, which it leaves with its answer: answered exactly once (hazard S13), within
 * PAGE_REQUEST_TIMEOUT_NS, whatever becomes of its handler or of a last member that never comes. After an overflow of the
 * queue incomplete groups are void: the IOMMU has answered them (S22).
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import type { Trace } from '../base/trace.js';
import type { CancelAlarm, Clock } from '../hw/clock.js';
import type {
  IommuControl,
  PageRequestReceiver,
  PageRequestRecord,
  StallRecord,
} from '../hw/iommu-driver/control.js';
import type { KernelCounters } from './counters.js';
import type { Access, FaultAnswer } from './fault-handler.js';

/** Response codes of PCI Express PRI; a larger one is the worse result. */
const response = { SUCCESS: 0, INVALID: 1, FAILURE: 15 } as const;

/** What resolves faults: an address space. */
export interface FaultTarget {
  readonly quiet: boolean;
  handleFault(va: number, access: Access, done: (answer: FaultAnswer) => void): void;
}

export interface IoPageFaultOptions {
  readonly iommu: IommuControl;
  readonly counters: KernelCounters;
  readonly clock: Clock;
  readonly trace: Trace | null;
  /** The address space that a PASID names on a device now, or null. */
  readonly find: (deviceId: number, pasid: number) => FaultTarget | null;
}

/** What one (device, PASID) has waiting. */
interface Owner {
  readonly key: number;
  readonly questions: Set<Question>;
  /** Members of its questions together. */
  members: number;
  /** Who waits until nothing of it is being handled. */
  readonly whenIdle: (() => void)[];
}

/** A group, or a stalled access, that is not answered yet. */
interface Question {
  readonly key: string;
  readonly owner: Owner;
  readonly sinceNs: number;
  readonly answer: (code: number) => void;
  /** Its last member has come. */
  complete: boolean;
  /** Members that came. */
  members: number;
  /** Members whose handler has not answered. */
  open: number;
  worst: number;
}

/** One page of a question. */
interface Member {
  readonly va: number;
  readonly access: Access;
}

export class IoPageFaults implements PageRequestReceiver {
  readonly #options: IoPageFaultOptions;
  /** In the order in which they were asked: the first is the oldest. */
  readonly #questions = new Map<string, Question>();
  readonly #owners = new Map<number, Owner>();
  #cancelDeadline: CancelAlarm | null = null;

  constructor(options: IoPageFaultOptions) {
    this.#options = options;
    options.iommu.onPageRequests(this);
  }

  /** Groups and stalled accesses without an answer now. */
  get openQuestions(): number {
    return this.#questions.size;
  }

  pageRequested(request: PageRequestRecord): void {
    // A stop marker: the device has stopped using the PASID. It asks for nothing and gets no answer.
    if (request.last && !request.read && !request.write) return;
    const { deviceId, pasid, prgi, va } = request;
    this.#options.counters.add('pageRequests');
    this.#options.trace?.emit('page requested', deviceId, va.toString(16));
    const target = pasid < 0 ? null : this.#options.find(deviceId, pasid);
    if (target === null) {
      if (request.last) this.#options.iommu.respond({ deviceId, pasid, prgi, code: response.INVALID });
      return;
    }
    const answer = (code: number): void => this.#options.iommu.respond({ deviceId, pasid, prgi, code });
    const question = this.#question(
      `group ${deviceId} ${pasid} ${prgi}`,
      this.#owner(deviceId, pasid),
      answer,
    );
    question.complete = request.last;
    this.#serve(question, target, { va, access: accessOf(request) });
  }

  stalled({ deviceId, pasid, va, access, tag }: StallRecord): void {
    this.#options.counters.add('pageRequests');
    this.#options.trace?.emit('access stalled', deviceId, va.toString(16));
    const answer = (code: number): void =>
      this.#options.iommu.resume({ deviceId, tag, retry: code === response.SUCCESS });
    const target = pasid < 0 ? null : this.#options.find(deviceId, pasid);
    if (target === null) {
      answer(response.INVALID);
      return;
    }
    const question = this.#question(`stall ${deviceId} ${tag}`, this.#owner(deviceId, pasid), answer);
    question.complete = true;
    this.#serve(question, target, { va, access });
  }

  requestsLost(): void {
    for (const question of [...this.#questions.values()]) if (!question.complete) this.#drop(question);
  }

  /** Calls `done` when no fault of (device, PASID) is being handled. Groups whose last member never came are void then. */
  whenIdle(deviceId: number, pasid: number, done: () => void): void {
    const owner = this.#owners.get(keyOf(deviceId, pasid));
    for (const question of [...(owner?.questions ?? [])]) if (!question.complete) this.#drop(question);
    if (owner === undefined || owner.questions.size === 0) done();
    else owner.whenIdle.push(done);
  }

  #owner(deviceId: number, pasid: number): Owner {
    const key = keyOf(deviceId, pasid);
    const known = this.#owners.get(key);
    if (known !== undefined) return known;
    const owner: Owner = { key, questions: new Set(), members: 0, whenIdle: [] };
    this.#owners.set(key, owner);
    return owner;
  }

  #question(key: string, owner: Owner, answer: (code: number) => void): Question {
    const known = this.#questions.get(key);
    if (known !== undefined) return known;
    const sinceNs = this.#options.clock.nowNs();
    const counts = { complete: false, members: 0, open: 0, worst: response.SUCCESS };
    const question: Question = { key, owner, sinceNs, answer, ...counts };
    this.#questions.set(key, question);
    owner.questions.add(question);
    this.#watch();
    return question;
  }

  /** Resolves one member. Beyond the bound nothing is resolved: the group will be refused. */
  #serve(question: Question, target: FaultTarget, { va, access }: Member): void {
    question.members += 1;
    question.owner.members += 1;
    question.open += 1;
    if (target.quiet) this.#resolved(question, response.FAILURE);
    else if (question.owner.members > limits.PAGE_REQUESTS_PER_PASID) {
      this.#resolved(question, response.INVALID);
    } else {
      target.handleFault(va, access, (answer) =>
        this.#resolved(question, answer === 'resolved' ? response.SUCCESS : response.INVALID),
      );
    }
  }

  #resolved(question: Question, code: number): void {
    question.open -= 1;
    question.worst = Math.max(question.worst, code);
    // A handler that comes back after the bound finds its question answered.
    const isOpen = this.#questions.get(question.key) === question;
    if (isOpen && question.complete && question.open === 0) this.#answer(question, question.worst);
  }

  #answer(question: Question, code: number): void {
    this.#options.trace?.emit('answered', question.key, code);
    question.answer(code);
    this.#drop(question);
  }

  /** Out of the table: answered, or void. */
  #drop(question: Question): void {
    const { key, owner, members } = question;
    assert(this.#questions.delete(key), 'a question leaves the table once');
    owner.questions.delete(question);
    owner.members -= members;
    this.#watch();
    if (owner.questions.size > 0) return;
    this.#owners.delete(owner.key);
    for (const done of owner.whenIdle.splice(0)) done();
  }

  /** One alarm, for the oldest question. */
  #watch(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = null;
    const [oldest] = this.#questions.values();
    if (oldest === undefined) return;
    const { clock } = this.#options;
    const leftNs = oldest.sinceNs + limits.PAGE_REQUEST_TIMEOUT_NS - clock.nowNs();
    this.#cancelDeadline = clock.alarm(Math.max(0, leftNs), () => this.#answerOverdue());
  }

  #answerOverdue(): void {
    this.#cancelDeadline = null;
    const { clock } = this.#options;
    for (const question of this.#questions.values()) {
      if (clock.nowNs() - question.sinceNs < limits.PAGE_REQUEST_TIMEOUT_NS) break;
      this.#answer(question, response.FAILURE);
    }
    this.#watch();
  }
}

function accessOf({ execute, write }: PageRequestRecord): Access {
  if (execute) return 'execute';
  return write ? 'write' : 'read';
}

function keyOf(deviceId: number, pasid: number): number {
  return deviceId * 2 ** 20 + pasid;
}
