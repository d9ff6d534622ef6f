/**
 * Hardware that only notes what the framework asks of it, and a policy that does as a test says.
 */
import type { Decision, PolicyModule, SchedulableVcoproc, SchedulerPolicy } from '../../src/coproc/policy.js';
import type { CoprocHardware, CoprocIrq, Done } from '../../src/hw/coproc-port.js';
import type { DeviceDescription } from '../../src/hw/device-model.js';

export class NotedHardware implements CoprocHardware {
  readonly instance: string;
  readonly deviceId = 0;
  readonly description = { name: 'noted' } as DeviceDescription;
  readonly log: string[] = [];
  irq: (irq: CoprocIrq) => void = () => {};

  constructor(instance = 'noted0') {
    this.instance = instance;
  }

  attachQueue({ queueNumber }: { queueNumber: number }, done: Done): void {
    this.#note(`attach ${queueNumber}`, done);
  }

  detachQueue(queueNumber: number, done: Done): void {
    this.#note(`detach ${queueNumber}`, done);
  }

  wake(): void {}

  sleep(): void {}

  ringDoorbell(): void {}

  readRegister(offset: number, _width: 32 | 64, done: (value: number) => void): void {
    done(offset + 1);
  }

  writeRegister(offset: number, _width: 32 | 64, value: number, done: Done): void {
    this.#note(`write ${offset} ${value}`, done);
  }

  onIrq(receive: (irq: CoprocIrq) => void): void {
    this.irq = receive;
  }

  start(done: Done): void {
    this.#note('start', done);
  }

  stop(done: Done): void {
    this.#note('stop', done);
  }

  resetDevice(done: Done): void {
    this.#note('reset', done);
  }

  #note(line: string, done: Done): void {
    this.log.push(line);
    done(0);
  }
}

/** Answers what it is told to, and checks that the core keeps its side of the contract. */
export class ScriptedPolicy implements SchedulerPolicy {
  readonly vcoprocs: SchedulableVcoproc[] = [];
  readonly awake = new Set<SchedulableVcoproc>();
  /** The next answers; when none is left, the first awake one with `sliceNs`, or whoever is loaded. */
  readonly answers: Decision[] = [];
  sliceNs: number | null = null;
  /** Whether a context that nobody wants stays loaded. */
  keepsLoaded = false;

  readonly module: PolicyModule = { name: 'scripted', create: () => this };

  add(vcoproc: SchedulableVcoproc): void {
    this.vcoprocs.push(vcoproc);
  }

  remove(vcoproc: SchedulableVcoproc): void {
    this.vcoprocs.splice(this.vcoprocs.indexOf(vcoproc), 1);
  }

  wake(vcoproc: SchedulableVcoproc): void {
    if (this.awake.has(vcoproc)) throw new Error(`wake of ${vcoproc.id}, which is awake`);
    this.awake.add(vcoproc);
  }

  sleep(vcoproc: SchedulableVcoproc): void {
    if (!this.awake.delete(vcoproc)) throw new Error(`sleep of ${vcoproc.id}, which sleeps`);
  }

  schedule(_nowNs: number, current: SchedulableVcoproc | null): Decision {
    const scripted = this.answers.shift();
    if (scripted !== undefined) return scripted;
    const [first] = this.awake;
    return {
      next: first ?? (this.keepsLoaded ? current : null),
      sliceNs: first === undefined ? null : this.sliceNs,
    };
  }
}
