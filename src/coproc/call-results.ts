/**
 * What the calls of the framework (calls.ts) answer: plain data, as types for programs and as shapes for documentation
 * and tests.
 */
import { limits } from '../base/limits.js';
import type { ObjectShape, Shape, ShapeField, WholeShape } from '../base/plain-shape.js';
import type { LedgerSnapshot } from './ledger.js';
import { nameShape } from './shared-shapes.js';
import type { CoprocSnapshot, VcoprocSnapshot } from './snapshot.js';

/** One registered instance, in a list. */
export type CoprocessorEntry = Pick<
  CoprocSnapshot,
  'instance' | 'policy' | 'parameters' | 'phase' | 'isolated'
> & { readonly vcoprocs: number };

/** A pair of domain and instance, in a list (R20). */
export interface VcoprocEntry extends Pick<VcoprocSnapshot, 'id' | 'instance' | 'domainId' | 'state'> {
  /** Name of the domain. */
  readonly domain: string;
}

/** One domain, in a list. */
export interface DomainEntry {
  readonly id: number;
  readonly name: string;
  readonly phase: 'creating' | 'live' | 'ending';
  readonly memoryBytes: number;
  readonly processes: number;
  /** Names in /dev, by instance. */
  readonly devices: Readonly<Record<string, string>>;
}

/** Everything about one instance; the times of its vcoprocs stand with each of them. */
export type CoprocessorDetails = Omit<CoprocSnapshot, 'ledger'> & {
  readonly ledger: Omit<LedgerSnapshot, 'vcoprocs'>;
};

/** What each call answers. */
export interface CallResults {
  readonly createDomain: DomainEntry;
  readonly listDomains: readonly DomainEntry[];
  readonly listCoprocessors: readonly CoprocessorEntry[];
  readonly listVcoprocs: readonly VcoprocEntry[];
  readonly queryCoprocessor: CoprocessorDetails;
  readonly queryVcoproc: VcoprocSnapshot;
  readonly setPolicy: CoprocessorEntry;
  readonly setPolicyParameters: CoprocessorEntry;
  readonly attach: DomainEntry;
  readonly setDomainParameters: VcoprocEntry;
  readonly detach: DomainEntry;
  readonly destroyDomain: null;
}

const count: WholeShape = { kind: 'whole', unit: '', least: 0, most: Number.MAX_SAFE_INTEGER };
const ns: Shape = { ...count, unit: 'ns' };
const bytes: Shape = { ...count, unit: 'bytes' };
const flag: Shape = { kind: 'flag' };
const numbers: Shape = { kind: 'record', names: nameShape, of: { kind: 'number' } };
const text: Shape = { kind: 'text', pattern: /^/, expected: 'a text' };
const listOf = (of: Shape, most: number): Shape => ({ kind: 'list', of, most });
const choice = (...choices: string[]): Shape => ({ kind: 'choice', choices });
const field = (shape: Shape, doc: string): ShapeField => ({ shape, doc });
const object = (fields: ObjectShape['fields']): ObjectShape => ({ kind: 'object', fields });

const domainEntry = object({
  id: field(count, 'Number of the domain; 0 is the host.'),
  name: field(nameShape, 'Its name.'),
  phase: field(choice('creating', 'live', 'ending'), 'Only a live domain can be used and changed.'),
  memoryBytes: field(bytes, 'Memory that it can have in use.'),
  processes: field(count, 'Processes that live in it.'),
  devices: field({ kind: 'record', names: nameShape, of: nameShape }, 'Names in `/dev`, by instance.'),
});

const PHASES = choice('settled', 'leaving', 'entering');
const STATES = choice('SLEEPING', 'WAITING', 'RUNNING', 'ASKED_TO_SLEEP', 'ISOLATED');

const coprocessorEntry = object({
  instance: field(nameShape, 'Its name.'),
  policy: field(nameShape, 'The policy that shares it.'),
  parameters: field(numbers, 'Parameters of the policy, all of them.'),
  phase: field(PHASES, 'Whether a switch is under way.'),
  isolated: field(flag, 'It failed too often and is out of service for good.'),
  vcoprocs: field(count, 'Domains that share it.'),
});

const vcoprocEntry = object({
  id: field(count, 'Number of the vcoproc, which no other has or had.'),
  instance: field(nameShape, 'The instance that it is a share of.'),
  domainId: field(count, 'Number of the domain that has it.'),
  domain: field(nameShape, 'Name of that domain.'),
  state: field(STATES, 'What it is doing.'),
});

const vcoprocDetails = object({
  id: vcoprocEntry.fields.id!,
  domainId: vcoprocEntry.fields.domainId!,
  instance: vcoprocEntry.fields.instance!,
  state: vcoprocEntry.fields.state!,
  parameters: field(
    numbers,
    'Everything that can be set of it under the policy in place, defaults included, as it was set last.',
  ),
  started: field(flag, 'Its domain has queues that are started.'),
  busy: field(flag, 'The device has something to do for it.'),
  stackedAccesses: field(count, 'Register accesses that wait for it to be loaded.'),
  interrupts: field(
    object({
      raised: field(count, 'By the device.'),
      told: field(count, 'To the domain.'),
      throttled: field(count, 'Told together with another, because there were too many.'),
    }),
    'Device interrupts.',
  ),
  failures: field(count, 'Times that its context had to be reset.'),
  lastFailure: field({ kind: 'nullable', of: text }, 'Why, the last time.'),
  times: field(
    object({
      run: field(ns, 'It was loaded and had work.'),
      denied: field(ns, 'It went on although a switch was asked for.'),
      switch: field(ns, 'Switching that is charged to it.'),
      emulation: field(ns, 'Its register accesses were replayed.'),
    }),
    'Where its time went.',
  ),
  policy: field(numbers, 'What the policy keeps of it.'),
});

const coprocessorDetails = object({
  instance: coprocessorEntry.fields.instance!,
  phase: coprocessorEntry.fields.phase!,
  isolated: coprocessorEntry.fields.isolated!,
  policy: coprocessorEntry.fields.policy!,
  parameters: coprocessorEntry.fields.parameters!,
  current: field({ kind: 'nullable', of: count }, 'Number of the vcoproc that is loaded.'),
  ledger: field(
    object({
      totalNs: field(ns, 'Since it was registered: the sum of all times, those of its vcoprocs included.'),
      idleNs: field(ns, 'Nobody had work.'),
      switchNs: field(ns, 'Switching that is charged to nobody.'),
      formerNs: field(ns, 'Used by vcoprocs that do not exist any more.'),
    }),
    'Where its time went.',
  ),
  switches: field(
    object({
      entered: field(count, 'Contexts that were loaded.'),
      left: field(count, 'Contexts that were switched out.'),
      denials: field(count, 'Times that the device would not stop.'),
      contextResets: field(count, 'Contexts that were reset because they would not stop or start.'),
      deviceResets: field(count, 'Resets of the device.'),
      totalNs: field(ns, 'Time that switches took, both halves.'),
      leaveHistogram: field(listOf(count, 48), 'How many took below 2^n ns to leave, and not below 2^(n-1).'),
      enterHistogram: field(listOf(count, 48), 'The same for entering.'),
    }),
    'What switches cost.',
  ),
  visited: field(count, 'Entities that the policy looked at in all its decisions.'),
  vcoprocs: field(
    listOf(vcoprocDetails, limits.CONTEXTS_PER_INSTANCE),
    'Everything about each vcoproc of it.',
  ),
});

/** Shapes of which answers consist, by the names that they have for people. */
export const answerShapes: Readonly<Record<string, ObjectShape>> = {
  'domain entry': domainEntry,
  'coprocessor entry': coprocessorEntry,
  'vcoproc entry': vcoprocEntry,
  'coprocessor details': coprocessorDetails,
  'vcoproc details': vcoprocDetails,
};

/** Shape of what each call answers; null where it answers null. */
export const callResults: { readonly [Name in keyof CallResults]: Shape | null } = {
  createDomain: domainEntry,
  listDomains: listOf(domainEntry, Number.MAX_SAFE_INTEGER),
  listCoprocessors: listOf(coprocessorEntry, limits.INSTANCES_MAX),
  listVcoprocs: listOf(vcoprocEntry, Number.MAX_SAFE_INTEGER),
  queryCoprocessor: coprocessorDetails,
  queryVcoproc: vcoprocDetails,
  setPolicy: coprocessorEntry,
  setPolicyParameters: coprocessorEntry,
  attach: domainEntry,
  setDomainParameters: vcoprocEntry,
  detach: domainEntry,
  destroyDomain: null,
};
