/**
 * The owner of one vcoproc at work: takes its steps, one a turn at most, and notes every answer, completion and interrupt,
 * and what is left in registers and memory. Accesses of a step do not wait for one another's answers.
 *
 * Between two steps nothing is in flight and every answer is there. So everything but the looks has one answer, which
 * cannot depend on time; for a look, the program notes at every event of an unshared machine what it could have seen.
 */
import { crc32 } from 'node:zlib';
import type { SqeFormat } from '../../lib/user-driver.js';
import { MiB, NS_PER_US } from '../../src/base/units.js';
import type { Vcoproc } from '../../src/coproc/vcoproc.js';
import type { RegisterAccess, RegisterSpec } from '../../src/hw/device-model.js';
import type { MockPool, RingMock } from '../hw/ring-mock.js';
import { type DriverUnderTest, INPUT_BYTES, INPUTS_MAX } from './register-differential-driver.js';
import { newSeen } from './register-differential-seen.js';
import { outcomeOf, spoiltSqeOf, sqeOf } from './register-differential-sqe.js';
import type { Access, Pair, Request, Step } from './register-differential-steps.js';
import type { SharingBench } from './sharing-bench.js';

/** Where the inputs are, and where the outputs go; both of one process. */
const POOL_BYTES = INPUTS_MAX * INPUT_BYTES;
/** Memory of the domain of one program: no less can be had. */
export const PROGRAM_BYTES = 2 * MiB;
/** Where no device has a register. */
const FAR_OFFSETS = [0x400, 0x1000, 2 ** 31, 2 ** 32 + 8, -4];
/** Reading one of these changes nothing. */
const QUIET: readonly RegisterAccess[] = ['RW', 'RO', 'W1C', 'live', 'doorbell'];

interface ProgramParts {
  readonly bench: SharingBench;
  readonly vcoproc: Vcoproc;
  readonly tested: DriverUnderTest;
  /** By direction (`qcType`). */
  readonly queues: readonly [RingMock, RingMock];
  readonly inputs: MockPool;
  readonly outputs: MockPool;
  readonly createdNs: number;
}

/** What is in flight: where it was put, and what has not been looked at yet. */
interface Flight {
  readonly queue: RingMock;
  readonly format: SqeFormat;
  readonly interruptsBefore: number;
  readonly isWrong: boolean;
  readonly place: number;
  readonly roomBytes: number;
  readonly looks: number[];
  /** Whether its context has been loaded, and left again. */
  was: 'waiting' | 'loaded' | 'left';
}

/** One program on one vcoproc. */
export class Program {
  readonly seen = newSeen();
  /** Accesses made while the context was not loaded. */
  emulated = 0;
  /** Requests in the middle of which the context was left. */
  left = 0;
  readonly #parts: ProgramParts;
  readonly #steps: readonly Step[];
  readonly #isAlone: boolean;
  #next = 0;
  #idleTurns = 0;
  #unanswered = 0;
  #flight: Flight | null = null;

  private constructor(parts: ProgramParts, steps: readonly Step[], isAlone: boolean) {
    this.#parts = parts;
    this.#steps = steps;
    this.#isAlone = isAlone;
    for (const [index, input] of parts.tested.inputs.entries())
      parts.inputs.view.set(input, index * INPUT_BYTES);
    parts.vcoproc.onIrq((irq) => {
      if (irq.kind === 'device') this.seen.lines.push(irq.line);
      else this.seen.told.push(irq);
    });
  }

  /** A domain of its own with a process that does `steps`. `isAlone`: nobody else is on the machine. */
  static async start(
    bench: SharingBench,
    {
      name,
      tested,
      steps,
      isAlone,
    }: { name: string; tested: DriverUnderTest; steps: readonly Step[]; isAlone: boolean },
  ): Promise<Program> {
    bench.domain(name, undefined, PROGRAM_BYTES);
    const createdNs = bench.machine.nowNs;
    const instance = bench.instances[0]!.id;
    const process = bench.process(name);
    const queues = [
      await bench.queue(process, name, instance, 0),
      await bench.queue(process, name, instance, 1),
    ] as const;
    // Its pages appear when the device asks for them.
    const { ret: address } = await process.call({
      call: 'mmapAnonymous',
      kind: 'pool',
      bytes: POOL_BYTES,
      prefault: false,
    });
    const outputs = { address, view: process.platform.mapRegion(address, POOL_BYTES) };
    const inputs = await process.pool(POOL_BYTES);
    const vcoproc = bench.vcoproc(name, instance);
    return new Program({ bench, vcoproc, tested, queues, inputs, outputs, createdNs }, steps, isAlone);
  }

  /** Everything was done, and answered. */
  get isOver(): boolean {
    return this.#next === this.#steps.length && !this.#isBusy;
  }

  get #isBusy(): boolean {
    return this.#flight !== null || this.#unanswered > 0 || this.#idleTurns > 0;
  }

  /** Its turn: the next step, if the last one is over. */
  turn(): void {
    if (this.#idleTurns > 0) this.#idleTurns -= 1;
    if (this.#flight !== null) this.#inFlight(this.#flight);
    if (this.#isBusy || this.#next === this.#steps.length) return;
    this.#next += 1;
    this.#begin(this.#steps[this.#next - 1]!);
  }

  /** What is left when all is over and the machine rests. */
  finish(): void {
    const { bench, tested, inputs, outputs } = this.#parts;
    const registers: number[] = [];
    for (const spec of tested.registers) {
      if (spec.access === 'timer') continue;
      this.#ask(spec.at, spec.width, (answer) => registers.push(answer));
    }
    bench.until(() => this.#unanswered === 0);
    this.#noteInterrupts();
    this.seen.left.registers = registers;
    this.seen.left.memory = [inputs, outputs].map(({ view }) => crc32(view));
  }

  #begin(each: Step): void {
    if (each.kind === 'idle') this.#idleTurns = each.turns;
    else if (each.kind === 'accesses') {
      for (const one of each.accesses) this.#access(each.registers[one.which], one);
    } else if (each.kind === 'flood') this.#flood(each.registers, each.count);
    else this.#submit(each.request, each.looks);
  }

  // Registers.

  #access(register: number, { op, beside, width, value }: Access): void {
    const { registers } = this.#parts.tested;
    const spec = registers[register % (registers.length + 1)];
    const offset = spec === undefined ? FAR_OFFSETS[value % FAR_OFFSETS.length]! : spec.at + beside;
    if (op === 'write') this.#write(offset, width, value);
    else this.#read(offset, width);
  }

  #flood(pair: Pair, count: number): void {
    // Doorbells raise interrupts, and too many of these are told together.
    const writable = this.#parts.tested.registers.filter(({ access }) => access !== 'doorbell');
    for (let index = 0; index < count; index++) {
      const { at, width } = writable[pair[index % 2]! % writable.length]!;
      this.#write(at, width, index);
    }
  }

  #read(offset: number, width: 32 | 64): void {
    const isTimer = this.#specAt(offset)?.access === 'timer';
    // A timer needs no device, and answers before what was asked earlier.
    const place = this.seen.reads.push('') - 1;
    this.#ask(offset, width, (answer) => {
      this.seen.reads[place] = `${offset} ${isTimer ? this.#isTime(answer) : answer}`;
    });
  }

  #write(offset: number, width: 32 | 64, value: number): void {
    this.#unanswered += 1;
    this.#noteEmulated();
    this.#parts.vcoproc.writeRegister(offset, width, value, (result) => {
      this.#unanswered -= 1;
      this.seen.writes.push(result);
    });
  }

  #ask(offset: number, width: 32 | 64, answered: (value: number) => void): void {
    this.#unanswered += 1;
    this.#noteEmulated();
    this.#parts.vcoproc.readRegister(offset, width, (answer) => {
      this.#unanswered -= 1;
      answered(answer);
    });
  }

  #noteEmulated(): void {
    const { state } = this.#parts.vcoproc;
    if (state === 'WAITING' || state === 'SLEEPING') this.emulated += 1;
  }

  #specAt(offset: number): RegisterSpec | undefined {
    return this.#parts.tested.registers.find(({ at }) => at === offset);
  }

  /** A timer answers the time, and nothing else can be compared with another machine's. */
  #isTime(microseconds: number): boolean {
    const { bench, createdNs } = this.#parts;
    return microseconds === Math.floor((bench.machine.nowNs - createdNs) / NS_PER_US);
  }

  // Requests.

  #submit(request: Request, looks: readonly number[]): void {
    const { tested, queues, inputs, outputs } = this.#parts;
    const format = tested.formats[request.format % tested.formats.length]!;
    const queue = queues[format.qcType];
    const source = (request.input % tested.inputs.length) * INPUT_BYTES;
    const sourceBytes = Math.min(request.bytes, POOL_BYTES - source);
    const place = request.place;
    const wantedBytes = request.roomBytes ?? format.outputRoom(sourceBytes);
    const roomBytes = Math.min(wantedBytes, POOL_BYTES - place);
    const { streamNew, final, flush, wrong } = request;
    const transfer = {
      tag: this.#next,
      source: inputs.address + source,
      sourceBytes,
      destination: outputs.address + place,
      destinationBytes: roomBytes,
      state: inputs.address + request.state * INPUT_BYTES,
      streamNew,
      final,
      flush,
    };
    const sqe = wrong === null ? sqeOf(format, transfer) : spoiltSqeOf(format, transfer, wrong);
    this.#flight = {
      queue,
      format,
      interruptsBefore: queue.interrupts,
      isWrong: wrong !== null,
      place,
      roomBytes,
      looks: [...looks],
      was: 'waiting',
    };
    // The consumer sleeps until the next completion, and looks at nothing before it is woken.
    queue.writeWord('EVENT_INDEX', queue.cqHead + 1);
    queue.submit(sqe);
    if (this.#isAlone) this.#look(this.#flight);
  }

  #inFlight(flight: Flight): void {
    this.#look(flight);
    const { queue } = flight;
    if (queue.interrupts === flight.interruptsBefore) {
      this.#noteLeft(flight);
      return;
    }
    this.#flight = null;
    this.#noteInterrupts();
    for (const { sqe, slot } of queue.completions()) this.#complete(flight, sqe, slot);
  }

  #complete({ format, isWrong, place, roomBytes }: Flight, sqe: Uint8Array, slot: number): void {
    const outcome = outcomeOf(format, sqe);
    const { outputs } = this.#parts;
    const room = outputs.view.subarray(place, place + roomBytes);
    const producedBytes = Math.min(outcome.produced, roomBytes);
    const output = crc32(room.subarray(0, producedBytes));
    this.seen.completions.push(`${slot} ${Buffer.from(sqe).toString('hex')} ${output}`);
    // What stands behind an output is undefined: nobody may build on it. Nor on anything after a wrong SQE.
    if (isWrong) outputs.view.fill(0);
    else room.fill(0, producedBytes);
  }

  /** Of a machine of its own, all that there is to be seen now; else the next that the program wants to see. */
  #look({ looks }: Flight): void {
    const wanted = this.#isAlone ? looks : looks.splice(0, 1);
    for (const index of wanted) {
      const { registers } = this.#parts.tested;
      const { at, width, access } = registers[index % registers.length]!;
      if (!QUIET.includes(access)) continue;
      const key = `step ${this.#next - 1}, register at ${at}`;
      const values = this.seen.looks.get(key) ?? new Set();
      this.seen.looks.set(key, values);
      this.#ask(at, width, (answer) => values.add(answer));
    }
  }

  #noteLeft(flight: Flight): void {
    const isLoaded = this.#parts.vcoproc.state === 'RUNNING';
    if (isLoaded && flight.was === 'waiting') flight.was = 'loaded';
    if (isLoaded || flight.was !== 'loaded') return;
    flight.was = 'left';
    this.left += 1;
  }

  #noteInterrupts(): void {
    this.seen.interrupts.push(this.#parts.queues.map(({ interrupts }) => interrupts));
  }
}
