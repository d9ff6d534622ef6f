/**
 * The domains of a machine: each with memory of its own, vcoprocs of the instances that it uses, and the processes that
 * live in it. The host's own is domain 0; it has all memory that is not carved out.
 *
 * Creating a domain is a row of steps, undone in reverse when one fails: nothing is left behind (R16). Destroying one
 * ends its processes, removes its devices, takes its vcoprocs off the coprocs in whatever phase of a switch they are
 * (R64), and only then gives its memory back: by then no device context names its tables (hazard S28).
 *
 * Whatever changes a domain takes turns: a domain that is being created cannot be destroyed half-way, and two of one
 * name never exist.
 */
import { err, ok, type Result } from 'neverthrow';
import { assert } from '../base/assert.js';
import { invalidArgument, invalidState } from '../base/errors.js';
import { limits } from '../base/limits.js';
import { PAGE_BYTES } from '../base/units.js';
import { type CallError, HOST_DOMAIN } from '../coproc/framework.js';
import type { Parameters } from '../coproc/policy.js';
import type { VcpuPattern } from '../coproc/vcpu.js';
import { type FrameTable, frameOwner } from '../hw/frame-table.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { GuestMemoryDomain } from '../kernel/guest-memory.js';
import { IdPool } from '../kernel/id-pool.js';
import type { MemoryDomain } from '../kernel/memory-domain.js';
import { type Domain, newDomain, type SharedInstance } from './domain.js';
import { type AttachmentParts, attachInstance } from './domain-attachment.js';
import { DomainProcesses } from './domain-processes.js';
import { Turns } from './turns.js';
import { type Undo, undoAll, undoNow } from './undo.js';

export type { Domain, SharedInstance } from './domain.js';

/** What a domain is made from. */
export interface DomainRequest {
  /** Unique among the domains of the machine. */
  readonly name: string;
  /** Size of its memory, bytes: whole pages. */
  readonly memoryBytes: number;
  /** Instances that it uses, with its parameters on each: those of the policy, and `cooperates`. */
  readonly coprocessors: Readonly<Record<string, Parameters>>;
  /**
   * When its processor runs and sleeps; it always runs unless said otherwise. Only the inline host simulates processors:
   * it looks at this when the machine starts, and a machine of threads refuses it.
   */
  readonly vcpu?: VcpuPattern | undefined;
}

export interface DomainsParts extends AttachmentParts {
  readonly memory: PhysicalMemory;
  readonly frames: FrameTable;
  readonly hostMemory: MemoryDomain;
  /** Told of each process that has ended, whoever ended it. */
  readonly processEnded?: ((pid: number) => void) | null;
}

type Done<Value> = (result: Result<Value, CallError>) => void;

/** How to undo what was done for a domain. */
interface Undos {
  /** Gives memory and number back; does nothing for the host. */
  readonly memory: Undo;
  /** By instance, in the order in which they were attached. */
  readonly attachments: Map<string, Undo>;
}

const LAST_DOMAIN = 65_535 - frameOwner.FIRST_DOMAIN;

export class Domains {
  /** The processes that live in them. */
  readonly processes: DomainProcesses;
  readonly #parts: DomainsParts;
  readonly #instances = new Map<string, SharedInstance>();
  /** In whatever phase. */
  readonly #domains = new Map<number, Domain>();
  readonly #undos = new Map<Domain, Undos>();
  readonly #ids = new IdPool(1, LAST_DOMAIN);
  readonly #turns = new Turns();

  constructor(parts: DomainsParts) {
    this.#parts = parts;
    this.processes = new DomainProcesses(parts.kernel, parts.processEnded ?? (() => {}));
    const memory = undoNow(() => {});
    this.#add(newDomain(HOST_DOMAIN, 'host', parts.hostMemory, 'live'), memory);
  }

  get host(): Domain {
    return this.#domains.get(HOST_DOMAIN)!;
  }

  /** Live domains, the host's first. */
  get all(): readonly Domain[] {
    return this.known.filter(({ phase }) => phase === 'live');
  }

  /** Also those that are being created or destroyed: whoever may have a vcoproc. */
  get known(): readonly Domain[] {
    return [...this.#domains.values()];
  }

  /** Changes that have not been answered yet. */
  get changes(): number {
    return this.#turns.length;
  }

  /** A live domain by its whole name. */
  find(name: string): Domain | null {
    return this.all.find((domain) => domain.name === name) ?? null;
  }

  /** `instance` is registered with the framework and can be used by domains from now on. */
  addInstance(instance: SharedInstance): void {
    this.#instances.set(instance.instance, instance);
  }

  /** Creates a domain; `done` gets it, or what was wrong, with everything undone. */
  create(request: DomainRequest, done: Done<Domain>): void {
    this.#turns.take<Result<Domain, CallError>>(done, (answer) => {
      const mistake = this.#mistakeIn(request);
      const begun = mistake === null ? this.#begin(request) : err(mistake);
      if (begun.isErr()) answer(err(begun.error));
      else this.#attachAll(begun.value, Object.entries(request.coprocessors), answer);
    });
  }

  /** Gives a live domain, the host's too, one more instance; `done` gets its name in /dev. */
  attach(domain: Domain, instance: string, parameters: Parameters, done: Done<string>): void {
    this.#turns.take<Result<string, CallError>>(done, (answer) => {
      const mistake = this.#notLive(domain);
      if (mistake !== null) answer(err(mistake));
      else {
        this.#attach(domain, instance, parameters, (attached) =>
          answer(attached.map(() => domain.devices.get(instance)!)),
        );
      }
    });
  }

  /** Takes an instance away from a live domain, the host's too, whatever it is used for; `done` when that is over. */
  detach(domain: Domain, instance: string, done: Done<void>): void {
    this.#turns.take<Result<void, CallError>>(done, (answer) => {
      const { attachments } = this.#undos.get(domain) ?? { attachments: new Map<string, Undo>() };
      const undo = attachments.get(instance);
      const mistake = this.#notLive(domain);
      if (mistake !== null) answer(err(mistake));
      else if (undo === undefined) {
        const names = [...attachments.keys()].join(', ');
        const expected = names === '' ? `attached to ${domain.name}, which has none` : `one of ${names}`;
        answer(err(invalidArgument({ argument: 'instance', value: instance, expected })));
      } else {
        attachments.delete(instance);
        undo(() => answer(ok(undefined)));
      }
    });
  }

  /** Ends a domain other than the host's; `done` when nothing of it is left. */
  destroy(domain: Domain, done: () => void): void {
    assert(domain.id !== HOST_DOMAIN, "the host's domain lasts as long as the machine");
    this.#turns.take<void>(done, (answer) => {
      // Somebody else's call had its turn first.
      if (this.#notLive(domain) !== null) {
        answer();
        return;
      }
      domain.phase = 'ending';
      this.processes.exitAll(domain, () => this.#end(domain, answer));
    });
  }

  /** Its processes have ended, or there never were any. */
  #end(domain: Domain, done: () => void): void {
    const { memory, attachments } = this.#undos.get(domain)!;
    undoAll([memory, ...attachments.values()], () => {
      this.#domains.delete(domain.id);
      this.#undos.delete(domain);
      done();
    });
  }

  #notLive(domain: Domain): CallError | null {
    const isLive = domain.phase === 'live' && this.#domains.get(domain.id) === domain;
    return isLive ? null : invalidState(`domain ${domain.name} has ended; use another`);
  }

  #mistakeIn({ name, memoryBytes, coprocessors }: DomainRequest): CallError | null {
    const isTaken = this.known.some((domain) => domain.name === name);
    if (typeof name !== 'string' || name === '' || isTaken) {
      return invalidArgument({ argument: 'name', value: name, expected: 'a name that no other domain has' });
    }
    const isSize = Number.isInteger(memoryBytes) && memoryBytes % PAGE_BYTES === 0 && memoryBytes > 0;
    if (!isSize || memoryBytes > limits.GUEST_BYTES_MAX) {
      const expected = `whole pages of ${PAGE_BYTES} bytes, at most ${limits.GUEST_BYTES_MAX} bytes`;
      return invalidArgument({ argument: `${name}.memoryBytes`, value: memoryBytes, expected });
    }
    const unknown = Object.keys(coprocessors).find((instance) => !this.#instances.has(instance));
    return unknown === undefined ? null : this.#unknownInstance(`${name}.coprocessors`, unknown);
  }

  #unknownInstance(argument: string, instance: string): CallError {
    const names = [...this.#instances.keys()].join(', ');
    const expected = names === '' ? 'absent: the machine shares no instance' : `one of ${names}`;
    return invalidArgument({ argument, value: instance, expected });
  }

  /** Number and memory. */
  #begin({ name, memoryBytes }: DomainRequest): Result<Domain, CallError> {
    const { memory, frames } = this.#parts;
    const id = this.#fails('id') ? null : this.#ids.take();
    if (id === null)
      return err(invalidState(`the machine has its ${LAST_DOMAIN} domains; destroy one first`));
    const owner = frameOwner.FIRST_DOMAIN + id;
    const guest = this.#fails('memory')
      ? null
      : GuestMemoryDomain.create({ memory, frames, owner, gscid: id, bytes: memoryBytes });
    if (guest === null) {
      this.#ids.give(id);
      return err(invalidState(`memory has no ${memoryBytes} bytes left for domain ${name}; give it less`));
    }
    const domain = newDomain(id, name, guest, 'creating');
    const undo = undoNow(() => {
      guest.destroy();
      this.#ids.give(id);
    });
    this.#add(domain, undo);
    return ok(domain);
  }

  #add(domain: Domain, memory: Undo): void {
    this.#domains.set(domain.id, domain);
    this.#undos.set(domain, { memory, attachments: new Map() });
  }

  #attachAll(domain: Domain, coprocessors: readonly [string, Parameters][], done: Done<Domain>): void {
    const [first, ...others] = coprocessors;
    if (first === undefined) {
      domain.phase = 'live';
      done(ok(domain));
      return;
    }
    this.#attach(domain, first[0], first[1], (attached) => {
      if (attached.isOk()) this.#attachAll(domain, others, done);
      else {
        domain.phase = 'ending';
        this.#end(domain, () => done(err(attached.error)));
      }
    });
  }

  #attach(domain: Domain, instance: string, parameters: Parameters, done: Done<void>): void {
    const shared = this.#instances.get(instance);
    if (shared === undefined) {
      done(err(this.#unknownInstance('instance', instance)));
      return;
    }
    attachInstance(this.#parts, { domain, shared, parameters }, (attached) => {
      if (attached.isOk()) this.#undos.get(domain)!.attachments.set(instance, attached.value);
      done(attached.map(() => undefined));
    });
  }

  #fails(step: string): boolean {
    return this.#parts.failsAt?.(step) === true;
  }
}
