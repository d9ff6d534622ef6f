/**
 * One context of an engine: what one domain's instance of the device consists of. It has a device model, registers and
 * queues of its own, so nothing of one context can be read by the next, whatever a model keeps.
 */
import type { RegisterImage, RegisterReplay } from './context-hardware.js';
import type { DeviceDescription, DeviceModel } from './device-model.js';
import type { EngineQueue } from './engine-queue.js';
import { RegisterFile } from './register-map.js';
import { type OnQueueError, ServiceOrder } from './service-order.js';

export interface EngineContextParts {
  readonly id: number;
  readonly description: DeviceDescription;
  /** The model raised an interrupt line. */
  readonly interrupt: (line: number) => void;
  readonly onQueueError: OnQueueError;
}

export class EngineContext {
  readonly id: number;
  readonly device: DeviceModel;
  readonly registers: RegisterFile;
  readonly order: ServiceOrder;
  readonly queues: EngineQueue[] = [];
  /** What the framework was told last: that it has something to do, or that it has not. */
  reported: 'work' | 'idle' | 'nothing' = 'nothing';

  constructor({ id, description, interrupt, onQueueError }: EngineContextParts) {
    this.id = id;
    this.device = description.create({ interrupt });
    this.registers = new RegisterFile(description.registers, {
      live: (name) => this.device.liveRegister?.(name) ?? 0,
      doorbell: (name, value) => this.device.registerWritten?.(name, value),
    });
    this.device.powerOn?.({
      load: (name) => this.registers.valueOf(name),
      store: (name, value) => this.registers.set(name, value),
    });
    this.order = new ServiceOrder(onQueueError);
  }

  attach(queue: EngineQueue): void {
    this.queues.push(queue);
    this.order.add(queue);
  }

  /** Ends a queue; its requests are dropped, and what the model keeps for it. */
  remove(queue: EngineQueue): void {
    this.queues.splice(this.queues.indexOf(queue), 1);
    this.order.remove(queue);
    queue.close();
    this.device.queueStopped(queue.binding.epoch);
  }

  /** Whether there is something to do for it: a request that can go on, or somebody to be told of a broken rule. */
  get hasWork(): boolean {
    return this.queues.some((queue) => queue.ready || queue.erred);
  }

  /** Values of all registers, without side effects. */
  image(): RegisterImage {
    return this.registers.image();
  }

  /** What the owner did to the registers while the context was not loaded. */
  replay(accesses: readonly RegisterReplay[]): void {
    for (const { op, offset, value } of accesses) {
      if (op === 'write') this.registers.write(offset, value);
      else this.registers.read(offset);
    }
  }

  /** The end of the context. */
  close(): void {
    for (const queue of [...this.queues]) this.remove(queue);
    this.device.reset();
  }
}
