/**
 * Carries out the calls of the framework (coproc/calls.ts) where domains and framework meet. A request may be anything:
 * it is copied, so that nobody changes it under way, and checked against the table of the calls before anything is done.
 */
import { err, ok, type Result } from 'neverthrow';
import { invalidArgument, invalidState } from '../base/errors.js';
import { limits } from '../base/limits.js';
import { isKeyed, mistakeInShape } from '../base/plain-shape.js';
import { PAGE_BYTES } from '../base/units.js';
import type {
  CallResults,
  CoprocessorDetails,
  CoprocessorEntry,
  DomainEntry,
  VcoprocEntry,
} from '../coproc/call-results.js';
import { type CallName, type CallRequest, calls } from '../coproc/calls.js';
import { type CallError, type Framework, HOST_DOMAIN } from '../coproc/framework.js';
import type { PolicyModule } from '../coproc/policy.js';
import { nameShape } from '../coproc/shared-shapes.js';
import type { VcoprocSnapshot } from '../coproc/snapshot.js';
import type { Domain } from './domain.js';
import type { Domains } from './domains.js';

export interface DomainCallsParts {
  readonly domains: Domains;
  readonly framework: Framework;
  /** Policies that an instance can be given. */
  readonly policies: readonly PolicyModule[];
}

/** What a call answers: plain data, or what is wrong. */
export type CallAnswer = Result<CallResults[CallName], CallError>;

/** What one kind of call answers. */
export type AnswerTo<Request extends CallRequest> = Result<CallResults[Request['call']], CallError>;

type Answer = (answer: CallAnswer) => void;
type Request<Name extends CallName> = Extract<CallRequest, { call: Name }>;

/** Calls that may have to wait, for devices, caches and each other. */
const CHANGES = ['createDomain', 'destroyDomain', 'attach', 'detach'] as const satisfies readonly CallName[];
type ChangeRequest = Request<(typeof CHANGES)[number]>;
type ImmediateRequest = Exclude<CallRequest, ChangeRequest>;

export class DomainCalls {
  readonly #parts: DomainCallsParts;

  constructor(parts: DomainCallsParts) {
    this.#parts = parts;
  }

  /** Carries out `request`, which may be anything; `done` is called once, at once or later. */
  call(request: unknown, done: Answer): void {
    const decoded = decode(request);
    if (decoded.isErr()) done(err(decoded.error));
    else if (isChange(decoded.value)) this.#change(decoded.value, done);
    else done(this.#atOnce(decoded.value));
  }

  #change(request: ChangeRequest, done: Answer): void {
    const most = limits.DOMAIN_CHANGES_WAITING;
    if (this.#parts.domains.changes >= most) {
      done(err(invalidState(`${most} changes of domains are under way; wait for one of them`)));
    } else if (request.call === 'createDomain') this.#create(request, done);
    else {
      const found = this.#live(request.domain);
      if (found.isErr()) done(err(found.error));
      else this.#changeDomain(found.value, request, done);
    }
  }

  #create({ name, memoryBytes, coprocessors = {} }: Request<'createDomain'>, done: Answer): void {
    this.#parts.domains.create({ name, memoryBytes, coprocessors }, (created) => done(created.map(entryOf)));
  }

  #changeDomain(
    domain: Domain,
    request: Exclude<ChangeRequest, Request<'createDomain'>>,
    done: Answer,
  ): void {
    const { domains } = this.#parts;
    if (request.call === 'destroyDomain') this.#destroy(domain, done);
    else {
      const answer = (changed: Result<unknown, CallError>): void => done(changed.map(() => entryOf(domain)));
      if (request.call === 'detach') domains.detach(domain, request.instance, answer);
      else domains.attach(domain, request.instance, request.parameters ?? {}, answer);
    }
  }

  #destroy(domain: Domain, done: Answer): void {
    if (domain.id === HOST_DOMAIN)
      done(err(invalidState('the host lasts as long as the machine; detach its coprocessors instead')));
    else this.#parts.domains.destroy(domain, () => done(ok(null)));
  }

  #atOnce(request: ImmediateRequest): CallAnswer {
    const { framework, domains } = this.#parts;
    switch (request.call) {
      case 'listDomains':
        return ok(domains.known.map(entryOf));
      case 'listCoprocessors':
        return ok(framework.instances.map((instance) => this.#coprocessor(instance)._unsafeUnwrap()));
      case 'listVcoprocs':
        return this.#listVcoprocs(request);
      case 'queryCoprocessor':
        return framework.query(request.instance).map(({ ledger, ...snapshot }): CoprocessorDetails => {
          const { vcoprocs: _timesStandWithEach, ...sums } = ledger;
          return { ...snapshot, ledger: sums };
        });
      case 'queryVcoproc':
        return this.#vcoproc(request);
      case 'setPolicy':
        return this.#setPolicy(request);
      case 'setPolicyParameters':
        return framework
          .setPolicyParameters(request.instance, request.parameters)
          .andThen(() => this.#coprocessor(request.instance));
      case 'setDomainParameters':
        return this.#setDomainParameters(request);
    }
  }

  #setPolicy({ instance, policy, parameters = {} }: Request<'setPolicy'>): CallAnswer {
    const { framework, policies } = this.#parts;
    const found = policies.find(({ name }) => name === policy);
    if (found === undefined)
      return err(
        unknown(
          'policy',
          policy,
          policies.map(({ name }) => name),
        ),
      );
    return framework.setPolicy(instance, found, parameters).andThen(() => this.#coprocessor(instance));
  }

  #setDomainParameters({ domain, instance, parameters }: Request<'setDomainParameters'>): CallAnswer {
    return this.#live(domain).andThen(({ id: domainId }) =>
      this.#parts.framework
        .setVcoprocParameters({ instance, domainId, parameters })
        .andThen(() => this.#vcoproc({ domain, instance }))
        .map((vcoproc) => this.#entryOf(vcoproc)),
    );
  }

  /** Both views are asked where they are kept: the instances' lists, and the vcoprocs that a domain has. */
  #listVcoprocs({ domain, instance }: Request<'listVcoprocs'>): Result<VcoprocEntry[], CallError> {
    const { framework } = this.#parts;
    if (domain !== undefined) {
      return this.#known(domain).andThen(({ id }) => {
        const instances = instance === undefined ? ok(null) : framework.query(instance);
        return instances.map(() =>
          framework
            .vcoprocsOf(id)
            .filter((vcoproc) => instance === undefined || vcoproc.instance === instance)
            .map((vcoproc) => this.#entryOf(vcoproc)),
        );
      });
    }
    const asked = instance === undefined ? framework.instances : [instance];
    const entries: VcoprocEntry[] = [];
    for (const each of asked) {
      const snapshot = framework.query(each);
      if (snapshot.isErr()) return err(snapshot.error);
      entries.push(...snapshot.value.vcoprocs.map((vcoproc) => this.#entryOf(vcoproc)));
    }
    return ok(entries);
  }

  #vcoproc(request: {
    readonly domain: string;
    readonly instance: string;
  }): Result<VcoprocSnapshot, CallError> {
    const { domain, instance } = request;
    return this.#known(domain).andThen(({ id }) =>
      this.#parts.framework.query(instance).andThen(({ vcoprocs }) => {
        const found = vcoprocs.find(({ domainId }) => domainId === id);
        if (found !== undefined) return ok(found);
        const expected = `a domain with a vcoproc of ${instance}`;
        return err(invalidArgument({ argument: 'domain', value: domain, expected }));
      }),
    );
  }

  #coprocessor(name: string): Result<CoprocessorEntry, CallError> {
    return this.#parts.framework
      .query(name)
      .map(({ instance, policy, parameters, phase, isolated, vcoprocs }) => ({
        instance,
        policy,
        parameters,
        phase,
        isolated,
        vcoprocs: vcoprocs.length,
      }));
  }

  #entryOf({ id, instance, domainId, state }: Omit<VcoprocEntry, 'domain'>): VcoprocEntry {
    // A domain is known for longer than any vcoproc of it.
    const { name } = this.#parts.domains.known.find((domain) => domain.id === domainId)!;
    return { id, instance, domainId, domain: name, state };
  }

  #live(name: string): Result<Domain, CallError> {
    const { domains } = this.#parts;
    const found = domains.find(name);
    return found === null ? err(unknown('domain', name, namesOf(domains.all))) : ok(found);
  }

  #known(name: string): Result<Domain, CallError> {
    const { known } = this.#parts.domains;
    const found = known.find((domain) => domain.name === name);
    return found === undefined ? err(unknown('domain', name, namesOf(known))) : ok(found);
  }
}

const namesOf = (domains: readonly Domain[]): string[] => domains.map(({ name }) => name);

/** Names that an error lists at most. */
const NAMES_SHOWN = 16;

function unknown(argument: string, value: string, names: readonly string[]): CallError {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  const more = names.length > NAMES_SHOWN ? `, or one of ${names.length - NAMES_SHOWN} others` : '';
  return invalidArgument({ argument, value, expected: `one of ${shown}${more}` });
}

function entryOf({ id, name, phase, memory, processes, devices }: Domain): DomainEntry {
  return {
    id,
    name,
    phase,
    memoryBytes: memory.quotaFrames * PAGE_BYTES,
    processes: processes.size,
    devices: Object.fromEntries(devices),
  };
}

/** A checked copy of a request. */
function decode(request: unknown): Result<CallRequest, CallError> {
  const copied = copyOf(request);
  if (!isKeyed(copied)) {
    const expected = 'an object of plain data';
    return err(invalidArgument({ argument: 'request', value: request, expected }));
  }
  const { call } = copied;
  if (typeof call !== 'string' || !Object.hasOwn(calls, call)) {
    const expected = `one of ${Object.keys(calls).join(', ')}`;
    return err(invalidArgument({ argument: 'request.call', value: call, expected }));
  }
  const name = { shape: nameShape, doc: '' };
  const fields = { call: name, ...calls[call as CallName].arguments };
  const mistake = mistakeInShape({ kind: 'object', fields }, copied, 'request');
  return mistake === null ? ok(copied as CallRequest) : err(mistake);
}

/** Null when it cannot be copied: it has functions in it, or ends in itself. */
function copyOf(request: unknown): unknown {
  try {
    return structuredClone(request);
  } catch {
    return null;
  }
}

function isChange(request: CallRequest): request is ChangeRequest {
  return (CHANGES as readonly CallName[]).includes(request.call);
}
