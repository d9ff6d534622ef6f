/**
 * The part of a start-up configuration that says which domains there are, what they use and how much memory they have.
 * The data has its shape (config-shape.ts); what is checked here is whether the names are known, the parameters are
 * those of the policies, and everything fits.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../base/errors.js';
import { limits } from '../base/limits.js';
import { memberPlace } from '../base/plain-shape.js';
import { alignUp, MEGAPAGE_BYTES } from '../base/units.js';
import { completeParameters, type Parameters } from '../coproc/policy.js';
import { parametersUnder, policyPart } from '../coproc/vcoproc-parameters.js';
import { type PlacedInstance, wrongParameter } from './config-coprocessors.js';
import { amountIn, busyShape, domainMemoryShape, idleShape, SHORTHANDS, timeShape } from './config-shape.js';
import type { DomainRequest } from './domains.js';

/** `host`, or what it has in common with every other domain, with the shape of it. */
interface HostData {
  readonly coprocessors?: readonly string[] | Readonly<Record<string, Parameters>>;
  readonly weight?: number;
  readonly cap?: number;
  readonly budget?: number | string;
  readonly period?: number | string;
}

interface DomainData extends HostData {
  readonly memory: number | string;
  readonly vcpu?: { readonly busy: number | string; readonly idle: number | string };
}

/** `domains`, with the shape of it: the host's domain by its name, like all others. */
export type DomainsData = Readonly<Record<string, HostData | DomainData>>;

/** What becomes of `domains`. */
export interface DomainsSetup {
  /** Instances that the host's domain uses, with its parameters. */
  readonly host: DomainRequest['coprocessors'];
  readonly domains: readonly DomainRequest[];
}

/** A value, and where the configuration has it. */
interface GivenParameter {
  readonly name: string;
  readonly value: number;
  readonly place: string;
}

/** A domain's wish to use an instance. */
interface Use {
  readonly instance: string;
  readonly place: string;
  readonly given: readonly GivenParameter[];
}

/** Name in the configuration of the domain that is always there. */
const HOST = 'host';

/** Checks the domains of a machine with `memoryBytes` of memory and these instances. */
export function checkDomains(
  data: DomainsData,
  instances: ReadonlyMap<string, PlacedInstance>,
  memoryBytes: number,
): Result<DomainsSetup, InvalidArgument> {
  const rooms = new Map([...instances].map(([id, instance]) => [id, new Room(instance)]));
  const host = checkUses(usesOfHost(data[HOST], instances), rooms);
  if (host.isErr()) return err(host.error);
  const domains: DomainRequest[] = [];
  const memory = new MemoryAccount(memoryBytes);
  for (const [name, domain] of Object.entries(data)) {
    if (name === HOST) continue;
    const checked = checkDomain(name, domain as DomainData, rooms, memory);
    if (checked.isErr()) return err(checked.error);
    domains.push(checked.value);
  }
  return ok({ host: host.value, domains });
}

function checkDomain(
  name: string,
  data: DomainData,
  rooms: ReadonlyMap<string, Room>,
  memory: MemoryAccount,
): Result<DomainRequest, InvalidArgument> {
  const place = memberPlace('domains', name);
  const uses = usesOf(data, place);
  if (uses.isErr()) return err(uses.error);
  return checkUses(uses, rooms).andThen((coprocessors) =>
    amountIn(domainMemoryShape, data.memory, `${place}.memory`).andThen((memoryBytes) =>
      patternOf(data, place).andThen((pattern) => {
        const request = { name, memoryBytes, coprocessors, ...pattern };
        const mistake = memory.take(request, `${place}.memory`);
        return mistake === null ? ok(request) : err(mistake);
      }),
    ),
  );
}

/** When its processor runs: nothing, unless it is said. */
function patternOf(
  { vcpu }: DomainData,
  place: string,
): Result<Pick<DomainRequest, 'vcpu'>, InvalidArgument> {
  if (vcpu === undefined) return ok({});
  return amountIn(busyShape, vcpu.busy, `${place}.vcpu.busy`).andThen((busyNs) =>
    amountIn(idleShape, vcpu.idle, `${place}.vcpu.idle`).map((idleNs) => ({ vcpu: { busyNs, idleNs } })),
  );
}

/** A host that does not say what it uses has a vcoproc of everything (R12). */
function usesOfHost(
  data: HostData | undefined,
  instances: ReadonlyMap<string, PlacedInstance>,
): Result<readonly Use[], InvalidArgument> {
  if (data?.coprocessors !== undefined) return usesOf(data, memberPlace('domains', HOST));
  return shorthandsOf(data ?? {}, memberPlace('domains', HOST)).map((given) =>
    [...instances].map(([instance, { place }]) => ({ instance, place, given })),
  );
}

function usesOf(data: HostData, place: string): Result<readonly Use[], InvalidArgument> {
  const { coprocessors = [] } = data;
  const at = memberPlace(place, 'coprocessors');
  return shorthandsOf(data, place).map((given) => {
    if (Array.isArray(coprocessors))
      return coprocessors.map((instance, index) => ({ instance, place: `${at}[${index}]`, given }));
    return Object.entries(coprocessors).map(([instance, parameters]) => {
      const own = parametersAt(parameters as Parameters, memberPlace(at, instance));
      const others = given.filter(({ name }) => !own.some((each) => each.name === name));
      return { instance, place: memberPlace(at, instance), given: [...others, ...own] };
    });
  });
}

function parametersAt(parameters: Parameters, place: string): readonly GivenParameter[] {
  return Object.entries(parameters).map(([name, value]) => ({
    name,
    value,
    place: memberPlace(place, name),
  }));
}

function shorthandsOf(data: HostData, place: string): Result<readonly GivenParameter[], InvalidArgument> {
  const given: GivenParameter[] = [];
  for (const [key, name] of Object.entries(SHORTHANDS)) {
    const value = data[key as keyof typeof SHORTHANDS];
    if (value === undefined) continue;
    const at = memberPlace(place, key);
    const amount = amountIn(timeShape, value, at);
    if (amount.isErr()) return err(amount.error);
    given.push({ name, value: amount.value, place: at });
  }
  return ok(given);
}

function checkUses(
  uses: Result<readonly Use[], InvalidArgument>,
  rooms: ReadonlyMap<string, Room>,
): Result<DomainRequest['coprocessors'], InvalidArgument> {
  if (uses.isErr()) return err(uses.error);
  const coprocessors: Record<string, Parameters> = {};
  for (const use of uses.value) {
    const mistake = wrongInstance(use, coprocessors, rooms) ?? rooms.get(use.instance)!.take(use);
    if (mistake !== null) return err(mistake);
    coprocessors[use.instance] = parametersOf(use);
  }
  return ok(coprocessors);
}

function wrongInstance(
  { instance, place }: Use,
  taken: Readonly<Record<string, Parameters>>,
  rooms: ReadonlyMap<string, Room>,
): InvalidArgument | null {
  if (Object.hasOwn(taken, instance)) {
    const expected = 'an instance that the domain does not name already';
    return invalidArgument({ argument: place, value: instance, expected });
  }
  if (rooms.has(instance)) return null;
  const names = [...rooms.keys()];
  const expected = names.length === 0 ? 'absent: no coprocessor is chosen' : `one of ${names.join(', ')}`;
  return invalidArgument({ argument: place, value: instance, expected });
}

function parametersOf({ given }: Use): Parameters {
  return Object.fromEntries(given.map(({ name, value }) => [name, value]));
}

/** Which vcoprocs an instance has so far, and whether its policy admits one more. */
class Room {
  readonly #instance: PlacedInstance;
  readonly #admitted: Parameters[] = [];

  constructor(instance: PlacedInstance) {
    this.#instance = instance;
  }

  /** One more vcoproc: null, or why not. */
  take(use: Use): InvalidArgument | null {
    const { policy, setup } = this.#instance;
    const most = Math.min(policy.vcoprocsMax ?? limits.CONTEXTS_PER_INSTANCE, limits.CONTEXTS_PER_INSTANCE);
    if (this.#admitted.length === most)
      return this.#refuse(use, `policy ${policy.name} serves ${most} at most`);
    const specs = parametersUnder(policy);
    for (const parameter of use.given) {
      const owner = `a domain under policy ${policy.name} of ${setup.id}`;
      const mistake = wrongParameter(specs, parameter, owner);
      if (mistake !== null) return mistake;
    }
    const all = completeParameters(specs, parametersOf(use), use.place) as Parameters;
    const complete = policyPart(policy, all);
    const unwanted = policy.admit?.(this.#admitted, complete) ?? null;
    if (unwanted !== null) return this.#refuse(use, unwanted);
    this.#admitted.push(complete);
    return null;
  }

  /** The host has a vcoproc of every instance by default: who meets a full one may not have thought of it. */
  #refuse({ instance, place }: Use, why: string): InvalidArgument {
    const expected = `an instance that admits the domain (${why}; the host counts unless domains.host says otherwise)`;
    return invalidArgument({ argument: place, value: instance, expected });
  }
}

/** What is left of the machine's memory when the host has its least. */
class MemoryAccount {
  readonly #memoryBytes: number;
  #leftBytes: number;

  constructor(memoryBytes: number) {
    this.#memoryBytes = memoryBytes;
    this.#leftBytes = memoryBytes - limits.HOST_BYTES_MIN;
  }

  /** Memory of one more domain: null, or why there is too little. */
  take({ memoryBytes, coprocessors }: DomainRequest, place: string): InvalidArgument | null {
    const tables = limits.DOMAIN_TABLE_BYTES * (1 + Object.keys(coprocessors).length);
    const left = Math.max(0, this.#leftBytes - tables);
    this.#leftBytes = left - alignUp(memoryBytes, MEGAPAGE_BYTES);
    if (this.#leftBytes >= 0) return null;
    const most = left - (left % MEGAPAGE_BYTES);
    const expected = `at most ${most} bytes: memory has ${this.#memoryBytes}, of which the host keeps ${limits.HOST_BYTES_MIN}`;
    return invalidArgument({ argument: place, value: memoryBytes, expected, code: 'ERR_OUT_OF_RANGE' });
  }
}
