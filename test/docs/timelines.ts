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
const LONG_PAGES = 8;

type Actor = 'process' | 'kernel' | 'device';

/** Something that an actor did, and to what. */
interface Event {
  readonly timeNs: number;
  readonly actor: Actor;
  readonly verb: string;
  readonly object: string;
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
  readonly #epochs: string[] = [];
  readonly #copies = { done: 0, failed: 0 };
  /** Lines of the trace that have been told. */
  #seen = 0;
  #requests = 0;
  /** How long the process waited for its call. */
  #callNs: number | null = null;

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
    this.#machine.runUntilIdle();
    this.#collect();
    this.#events.length = 0;
  }

  /** A system call, which the process waits for. */
  async call<T>(name: string, make: () => Promise<T>): Promise<T> {
    const startNs = this.#machine.nowNs;
    this.#say(`calls ${name}`);
    const answer = await make();
    this.#say(`${name} is answered`);
    this.#callNs = this.#machine.nowNs - startNs;
    return answer;
  }

  #say(verb: string, object = ''): void {
    this.#collect();
    this.#add('process', { verb, object }, this.#machine.nowNs);
  }

  /** Lets the machine go on until the device has begun a request: it has the first segment behind it, and yields. */
  async untilTaken(): Promise<void> {
    const isTaken = (): boolean =>
      this.#machine
        .trace()
        .slice(this.#seen)
        .some((line) => line.includes(' sqe taken '));
    while (!isTaken()) this.#machine.step();
  }

  /** Submits a copy of whole pages to a queue, and says what became of it. */
  async copy(queue: number, { source, target, pages }: { source: number; target: number; pages: number }) {
    this.#requests += 1;
    const name = `copy ${this.#requests}`;
    this.#say('submits', `${name} to queue ${queue}`);
    const bytes = pages * PAGE_BYTES;
    const outcome: Outcome = await this.#queues[queue]!.request({ source, destination: target, bytes });
    const isDone = outcome.status === 0;
    this.#copies[isDone ? 'done' : 'failed'] += 1;
    this.#say(`${name} ${isDone ? 'is done' : `failed after ${outcome.processed} bytes`}`);
  }

  /** All that happened since `begin`, one row for what one actor did at one time. */
  rows(): string[][] {
    this.#collect();
    const startNs = this.#events[0]?.timeNs ?? 0;
    const moments: Event[][] = [];
    for (const event of this.#events) {
      const [last] = moments.at(-1) ?? [];
      if (last?.timeNs === event.timeNs && last.actor === event.actor) moments.at(-1)!.push(event);
      else moments.push([event]);
    }
    return moments.map((moment) => {
      const { timeNs, actor } = moment[0]!;
      return [amount(timeNs - startNs), actor, joined(moment)];
    });
  }

  /** The same in sums, to compare fault models by. */
  summary(): string[] {
    this.#collect();
    const { done, failed } = this.#copies;
    const waits = this.#events.filter(({ verb }) => verb === WAITS).length;
    const [first, last] = [this.#events[0]!, this.#events.at(-1)!];
    const called = this.#callNs === null ? '-' : amount(this.#callNs);
    return [`${done}`, `${failed}`, `${waits}`, called, amount(last.timeNs - first.timeNs)];
  }

  #add(actor: Actor, { verb, object }: Pick<Event, 'verb' | 'object'>, timeNs: number): void {
    this.#events.push({ timeNs, actor, verb, object });
  }

  /** What the trace has got since the last time. */
  #collect(): void {
    const lines = this.#machine.trace();
    for (const line of lines.slice(this.#seen)) this.#interpret(line);
    this.#seen = lines.length;
  }

  /** A line of the trace in words: `TIME POINT SUBJECT [DETAIL]`. Points of which the page does not speak are left out. */
  #interpret(line: string): void {
    const [time, ...words] = line.split(' ');
    const told = POINTS.find(({ point }) => words.join(' ').startsWith(`${point} `));
    if (told === undefined) return;
    const subjects = words.slice(told.point.split(' ').length);
    const object = told.object(subjects, {
      page: (hex) => this.#nameOf(Number.parseInt(hex, 16)),
      queue: (epoch) => `queue ${this.#queueOf(epoch)}`,
    });
    this.#add(told.actor, { verb: told.verb, object }, Number(time));
  }

  /** Queues are numbered as they are first heard of. */
  #queueOf(epoch: string): number {
    if (!this.#epochs.includes(epoch)) this.#epochs.push(epoch);
    return this.#epochs.indexOf(epoch);
  }

  #nameOf(va: number): string {
    const found = this.#named.find((named) => va >= named.va && va < named.va + named.bytes);
    return found === undefined ? 'a queue' : `${found.name}[${Math.floor((va - found.va) / PAGE_BYTES)}]`;
  }
}

type Names = { readonly page: (hex: string) => string; readonly queue: (epoch: string) => string };
type ObjectOf = (subjects: readonly string[], names: Names) => string;

/** How a point of the trace is told. */
interface Told {
  readonly point: string;
  readonly actor: Actor;
  readonly verb: string;
  readonly object: ObjectOf;
}

const WAITS = 'waits for a page for';
const nothing: ObjectOf = () => '';
const queue: ObjectOf = ([epoch], names) => names.queue(epoch!);
const page: ObjectOf = ([, va], names) => names.page(va!);
/** The code of a page response, or of the answer to a stalled access, comes last. */
const code: ObjectOf = (subjects) => (subjects.at(-1) === '0' ? 'try again' : `refused (${subjects.at(-1)})`);

const POINTS: readonly Told[] = [
  { point: 'sqe taken', actor: 'device', verb: 'takes a request of', object: queue },
  { point: 'queue stalled', actor: 'device', verb: WAITS, object: queue },
  { point: 'sqe resumed', actor: 'device', verb: 'goes on with', object: queue },
  { point: 'sqe completed', actor: 'device', verb: 'completes a request of', object: queue },
  { point: 'interrupt', actor: 'device', verb: 'interrupts for', object: queue },
  { point: 'page requested', actor: 'kernel', verb: 'takes page requests for', object: page },
  { point: 'access stalled', actor: 'kernel', verb: 'takes stalled accesses to', object: page },
  { point: 'answered', actor: 'kernel', verb: 'answers', object: code },
  { point: 'fork', actor: 'kernel', verb: 'shares the pages with a child, read-only', object: nothing },
  { point: 'copy on write', actor: 'kernel', verb: 'takes away, to copy,', object: page },
  { point: 'entries cleared', actor: 'kernel', verb: 'clears the entries from', object: page },
  { point: 'frames given up', actor: 'kernel', verb: 'gives up the frames from', object: page },
  { point: 'invalidation sent', actor: 'kernel', verb: 'sends the device an invalidation', object: nothing },
  { point: 'drain sent', actor: 'kernel', verb: 'asks the device for the end of its step', object: nothing },
  { point: 'acknowledged', actor: 'kernel', verb: 'has the acknowledgement', object: nothing },
];

const amount = (value: number): string => Math.round(value).toLocaleString('en-US');

/** Events of one time in a cell: what was done, each with all it was done to. */
function joined(events: readonly Event[]): string {
  const objects = new Map<string, string[]>();
  for (const { verb, object } of events) objects.set(verb, [...(objects.get(verb) ?? []), object]);
  return [...objects].map(([verb, of]) => `${verb} ${counted(of)}`.trimEnd()).join('; ');
}

/** The same object several times is said once, with the number. */
function counted(objects: readonly string[]): string {
  const distinct = [...new Set(objects)];
  const numbers = distinct.map((one) => objects.filter((object) => object === one).length);
  return distinct
    .map((one, index) => (numbers[index] === 1 ? one : `${one} (${numbers[index]} times)`.trim()))
    .join(', ');
}

/** Four copies at once, of pages of which none is in memory. */
async function storm(stage: Stage): Promise<void> {
  const pages = STORM_PAGES;
  const places: { source: number; target: number }[] = [];
  for (let index = 1; index <= 4; index++) {
    const source = await stage.map(`source ${index}`, pages, { touched: false });
    const target = await stage.map(`target ${index}`, pages, { touched: false });
    places.push({ source, target });
  }
  stage.begin();
  await Promise.all(places.map((place, index) => stage.copy(index % 2, { ...place, pages })));
}

/** A fork while the device writes to pages that parent and child share from then on. */
async function fork(stage: Stage): Promise<void> {
  const [source, target] = [
    await stage.map('source', LONG_PAGES, { touched: true }),
    await stage.map('target', LONG_PAGES, { touched: true }),
  ];
  stage.begin();
  const copied = stage.copy(0, { source, target, pages: LONG_PAGES });
  await stage.untilTaken();
  const child = await stage.call('fork', () => stage.platform.fork());
  await copied;
  if (typeof child !== 'number') await child.exit();
}

/** munmap of what the device is writing to. */
async function unmap(stage: Stage): Promise<void> {
  const [source, address] = [
    await stage.map('source', LONG_PAGES, { touched: true }),
    await stage.map('target', LONG_PAGES, { touched: true }),
  ];
  stage.begin();
  const copied = stage.copy(0, { source, target: address, pages: LONG_PAGES });
  await stage.untilTaken();
  const bytes = LONG_PAGES * PAGE_BYTES;
  await stage.call('munmap', () => stage.platform.syscall({ call: 'munmap', address, bytes }));
  await copied;
}

/** What the tables at the head of each section say. */
const SUMMARY = [
  'fault model',
  'done',
  'failed',
  'waits for a page',
  'call answered after, ns',
  'all over after, ns',
];

const SCENES = [
  { name: 'storm', play: storm },
  { name: 'fork', play: fork },
  { name: 'unmap', play: unmap },
] as const;
/** A part of the page: its name, and its Markdown. */
export interface TimelinePart {
  readonly name: string;
  readonly text: string;
}

/** The timelines: for each scene a table that compares the fault models, then a table for each model. */
export async function timelines(): Promise<TimelinePart[]> {
  const parts: TimelinePart[] = [];
  for (const { name, play } of SCENES) {
    const stages = await Promise.all(FAULT_MODELS.map((faultModel) => played(faultModel, play)));
    const summaries = stages.map((stage, index) => [`\`${FAULT_MODELS[index]}\``, ...stage.summary()]);
    parts.push({ name, text: table([SUMMARY, ...summaries]) });
    for (const [index, stage] of stages.entries()) {
      parts.push({
        name: `${name} ${FAULT_MODELS[index]}`,
        text: table([['ns', 'who', 'what'], ...stage.rows()]),
      });
    }
  }
  return parts;
}

async function played(faultModel: FaultModel, play: (stage: Stage) => Promise<void>): Promise<Stage> {
  const stage = new Stage(faultModel);
  await stage.open();
  await play(stage);
  return stage;
}
