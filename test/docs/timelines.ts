/**
 * The program behind docs/timelines.md: a fault storm, a fork and an unmap, each while copies are in flight, on one
 * machine for each fault model; and what everybody did then, from the machine's trace, in the order of virtual time.
 *
 * One seed, one trace: the page is the same on every machine, until the code changes.
 */
import copy from '../../drivers/copy/index.js';
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import { FAULT_MODELS, type FaultModel } from '../../src/hw/fault-model.js';
import { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import type { Platform } from '../../src/uapi/syscall.js';
import { table } from '../machine/page-parts.js';
import { CopyQueue, call, type Outcome } from '../stress/copy-queue.js';

const PATH = '/dev/wd_copy-0';
/** Pages of a request of the storm, and of the longer ones that fork and unmap meet. */
const STORM_PAGES = 2;
const LONG_PAGES = 16;

type Actor = 'process' | 'kernel' | 'device';
const ACTORS: readonly Actor[] = ['process', 'device', 'kernel'];

interface Event {
  readonly timeNs: number;
  readonly actor: Actor;
  readonly text: string;
}

/** A part of the memory of the program, with the name that the page gives it. */
interface Named {
  readonly name: string;
  readonly va: number;
  readonly bytes: number;
}

/** A machine, its process with two queues, and what the process did, between the lines of the trace. */
class Stage {
  readonly platform: Platform;
  readonly #machine: InlineMachine;
  readonly #named: Named[] = [];
  readonly #events: Event[] = [];
  #queues: CopyQueue[] = [];
  #seen = 0;
  #requests = 0;

  constructor(faultModel: FaultModel) {
    const instances = [{ id: 'copy0', driver: 'copy', faultModel }];
    this.#machine = InlineMachine.create({
      drivers: [copy],
      instances,
      memoryBytes: 32 * MiB,
      // Checked runs and others are to give the same page.
      checkTranslations: null,
    })._unsafeUnwrap();
    this.platform = this.#machine.createProcess()._unsafeUnwrap();
  }

  async open(): Promise<void> {
    this.#queues = [await CopyQueue.open(this.platform, PATH), await CopyQueue.open(this.platform, PATH)];
  }

  /** Demand pages with a name; nothing of them is in memory unless `touched`. */
  async map(name: string, pages: number, { touched }: { touched: boolean }): Promise<number> {
    const bytes = pages * PAGE_BYTES;
    const { ret: va } = await call(this.platform, { call: 'mmapAnonymous', kind: 'demand', bytes });
    this.#named.push({ name, va, bytes });
    if (touched) await this.platform.store(va, new Uint8Array(bytes).fill(1));
    return va;
  }

  /** What happened before is not told. */
  begin(): void {
    this.#collect();
    this.#events.length = 0;
  }

  /** Something that the process does, or is told. */
  say(text: string): void {
    this.#collect();
    this.#add('process', text);
  }

  /** Submits a copy of whole pages to a queue, and says what became of it. */
  async copy(queue: number, { source, target, pages }: { source: number; target: number; pages: number }) {
    this.#requests += 1;
    const name = `copy ${this.#requests}`;
    this.say(`submits ${name} to queue ${queue}: ${this.#nameOf(source)} to ${this.#nameOf(target)}, ${pages} pages`);
    const bytes = pages * PAGE_BYTES;
    const outcome: Outcome = await this.#queues[queue]!.request({ source, destination: target, bytes });
    this.say(`${name} ${outcome.status === 0 ? 'is done' : `failed after ${outcome.processed} bytes`}`);
  }

  /** All that happened since `begin`, one row for what one actor did at one time. */
  rows(): string[][] {
    this.#collect();
    const startNs = this.#events[0]?.timeNs ?? 0;
    const rows: { timeNs: number; actor: Actor; texts: string[] }[] = [];
    for (const { timeNs, actor, text } of this.#events) {
      const last = rows.at(-1);
      if (last?.timeNs === timeNs && last.actor === actor) last.texts.push(text);
      else rows.push({ timeNs, actor, texts: [text] });
    }
    return rows.map(({ timeNs, actor, texts }) => [
      (timeNs - startNs).toLocaleString('en-US', { maximumFractionDigits: 0 }),
      ...ACTORS.map((column) => (column === actor ? joined(texts) : '')),
    ]);
  }

  /** The same in sums: how long who waited, ns. */
  waits(): { device: number; stalls: number; totalNs: number } {
    this.#collect();
    const events = this.#events;
    const totalNs = events.length === 0 ? 0 : events.at(-1)!.timeNs - events[0]!.timeNs;
    const stops = events.filter(({ text }) => text.endsWith(WAITS)).length;
    return { device: waitedNs(events), stalls: stops, totalNs };
  }

  #add(actor: Actor, text: string, timeNs = this.#machine.nowNs): void {
    this.#events.push({ timeNs, actor, text });
  }

  /** What the trace has got since the last time. */
  #collect(): void {
    const lines = this.#machine.trace();
    for (const line of lines.slice(this.#seen)) this.#interpret(line);
    this.#seen = lines.length;
  }

  /** A line of the trace in words; points of which the page does not speak are left out. */
  #interpret(line: string): void {
    const [, time, point, rest] = /^(\d+(?:\.\d+)?) ([a-z -]+?)(?: ((?:group |stall )?[0-9a-f].*))?$/.exec(line) ?? [];
    const told = point === undefined ? undefined : POINTS[point];
    if (told === undefined) return;
    const subjects = (rest ?? '').split(' ');
    this.#add(told.actor, told.text(subjects, (hex) => this.#nameOf(Number.parseInt(hex ?? '', 16))), Number(time));
  }

  #nameOf(va: number): string {
    const found = this.#named.find((named) => va >= named.va && va < named.va + named.bytes);
    return found === undefined ? 'a queue' : `${found.name}[${Math.floor((va - found.va) / PAGE_BYTES)}]`;
  }
}
