/**
 * A context of an engine as plain data: what another instance of the same device needs to go on from there (R33). Taken of
 * a context that is not loaded; loaded into a new one, with queues that the new owner has bound.
 *
 * An image comes from elsewhere, so nothing in it is believed: `mistakeInImage` says what is wrong with one, and the model
 * is asked about its own state and about each request that was left in the middle. An image holds no address of the
 * machine: rings, words and PASIDs are those of the new bindings.
 */

import { limits } from '../base/limits.js';
import { isRecord } from '../base/record.js';
import type { QueueBinding } from './coproc-port.js';
import type { DeviceDescription, RegisterSpec } from './device-model.js';
import type { EngineContext } from './engine-context.js';
import { isBytes, isCount, mistakeInQueue, type QueueImage } from './queue-image.js';

/** Of the shape below. */
const CONTEXT_IMAGE_VERSION = 1;

/** A context, versioned. */
export interface ContextImage {
  readonly version: typeof CONTEXT_IMAGE_VERSION;
  /** Name of the kind of device. */
  readonly device: string;
  /** Values of all registers, in the order of the device's table. */
  readonly registers: readonly number[];
  /** What the model keeps between requests (`DeviceModel.saveState`). */
  readonly model: Uint8Array;
  /** In the order in which they were attached. */
  readonly queues: readonly QueueImage[];
}

/** An image, or why there is none now. */
export type SaveAnswer =
  | { readonly kind: 'saved'; readonly image: ContextImage }
  | { readonly kind: 'failed'; readonly reason: string };

/** Takes the image of a context that is not loaded. Changes nothing. */
export function saveContextImage(
  context: EngineContext,
  { name, preemption }: DeviceDescription,
): SaveAnswer {
  const { queues, device } = context;
  if (preemption !== 'resume' && queues.some(({ inFlight }) => inFlight)) {
    return failed(
      `a request is in flight, and ${name} cannot resume it elsewhere; try again when it has ended`,
    );
  }
  if (queues.some(({ running }) => running !== null)) {
    return failed('a request waits for memory in the middle of a segment; try again when it was answered');
  }
  const model = device.saveState?.() ?? null;
  if (model === null) return failed(`${name} keeps state that cannot be saved`);
  const image: ContextImage = {
    version: CONTEXT_IMAGE_VERSION,
    device: name,
    registers: context.image(),
    model,
    queues: queues.map((queue) => queue.save()),
  };
  return { kind: 'saved', image };
}

/** Puts an image in which there is no mistake into a fresh context: null, or why the model refuses it. */
export function loadContextImage(context: EngineContext, image: ContextImage): string | null {
  const { device, registers, queues } = context;
  if (device.loadState?.(image.model.slice()) !== true) return 'the device refuses the state of its model';
  registers.restore(image.registers);
  for (const [index, queue] of queues.entries()) {
    queue.load(image.queues[index]!);
    if (queue.inFlight && device.canResume?.(queue.request) !== true) {
      return `the device refuses to resume the request of queue ${index}`;
    }
  }
  return null;
}

/** What is wrong with an image for a device with these queues; null when nothing is. Never throws on plain data. */
export function mistakeInImage(
  image: unknown,
  { name, preemption, registers, sqeBytes }: DeviceDescription,
  bindings: readonly QueueBinding[],
): string | null {
  if (!isRecord(image)) return 'an image is an object';
  if (image.version !== CONTEXT_IMAGE_VERSION) {
    return `version is ${String(image.version)}, and ${CONTEXT_IMAGE_VERSION} is known`;
  }
  if (image.device !== name) return `it is of another device than ${name}`;
  if (!Array.isArray(image.registers) || image.registers.length !== registers.length) {
    return `registers are not the ${registers.length} of ${name}`;
  }
  const wrong = registers.find((spec, index) => !isValueOf(spec, (image.registers as unknown[])[index]));
  if (wrong !== undefined) return `the value of register ${wrong.name} is none`;
  if (!isBytes(image.model, 0, limits.MODEL_STATE_BYTES_MAX)) return 'model is no state of a model';
  if (!Array.isArray(image.queues) || image.queues.length !== bindings.length) {
    return `queues are not the ${bindings.length} that are bound`;
  }
  for (const [index, queue] of (image.queues as unknown[]).entries()) {
    const mistake = mistakeInQueue(queue, sqeBytes, bindings[index]!);
    if (mistake !== null) return `queue ${index}: ${mistake}`;
    if ((queue as QueueImage).inFlight !== null && preemption !== 'resume') {
      return `queue ${index}: ${name} resumes no request`;
    }
  }
  return null;
}

function isValueOf({ width }: RegisterSpec, value: unknown): boolean {
  return isCount(value, width === 32 ? 0xffff_ffff : Number.MAX_SAFE_INTEGER);
}

function failed(reason: string): SaveAnswer {
  return { kind: 'failed', reason };
}
