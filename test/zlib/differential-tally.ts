/**
 * Counts which way the asynchronous calls of a run took, so that a module that quietly does everything in software
 * cannot pass for an accelerated one. Calls that go to software by design are counted by their cause.
 */
import type { Via } from '../../lib/via.js';
import { limits } from '../../src/base/limits.js';

/** Options that a device honours; any other one, a misspelt one among them, sends the call to Node. */
const FOR_DEVICE = ['level', 'windowBits', 'memLevel', 'strategy', 'chunkSize', 'maxOutputLength'];
const ACCELERATED = /^(?:de|in)flate(?:Raw)?$|^g(?:un)?zip$|^unzip$/i;

export class Tally {
  /** Calls that the device did. */
  device = 0;
  /** Calls that should have gone to the device and did not, by what `via` gives as the reason. */
  readonly software = new Map<string, number>();
  /** Calls that are made to go to software, by their cause. */
  readonly byDesign = new Map<string, number>();
  readonly #viaOf: (result: object) => Via | undefined;

  constructor(viaOf: (result: object) => Via | undefined) {
    this.#viaOf = viaOf;
  }

  /** Counts a call with callback whose answer was `results`; failed and small ones are not counted. */
  call(name: string, [input, options]: readonly unknown[], [, result]: readonly unknown[]): void {
    if (!ACCELERATED.test(name) || byteLengthOf(input) < limits.DEVICE_THRESHOLD_BYTES) return;
    if (typeof result !== 'object' || result === null) return;
    this.#note(name, options, result);
  }

  /** Counts a stream that ended well; small ones are not counted. */
  stream(name: string, options: unknown, stream: { readonly bytesWritten: number }): void {
    if (!ACCELERATED.test(name) || stream.bytesWritten < limits.DEVICE_THRESHOLD_BYTES) return;
    this.#note(name, options, stream);
  }

  /** Share of the calls that could go to the device and did. */
  get share(): number {
    const software = [...this.software.values()].reduce((sum, count) => sum + count, 0);
    return this.device / Math.max(1, this.device + software);
  }

  #note(name: string, options: unknown, result: object): void {
    const via = this.#viaOf(result);
    const cause = causeOf(name, options);
    if (via?.path === 'device') this.device += 1;
    else if (cause !== undefined) increase(this.byDesign, cause);
    else increase(this.software, via?.reason ?? 'no word of the way');
  }
}

/** Why a call goes to software by design; undefined when it has no reason to. */
function causeOf(name: string, options: unknown): string | undefined {
  if (options === undefined || typeof options === 'function') return undefined;
  if (Object.getPrototypeOf(options ?? 0) !== Object.prototype) return 'options that are no plain object';
  const given = Object.entries(options as object).filter(([, value]) => value !== undefined);
  const other = given.find(([option]) => !FOR_DEVICE.includes(option));
  if (other !== undefined) return `option ${other[0]}`;
  const { level, windowBits = 15 } = Object.fromEntries(given) as { level?: unknown; windowBits?: unknown };
  // Fractions are cut off.
  if (isPacker(name)) {
    if (typeof level === 'number' && Math.trunc(level) === 0) return 'level 0';
    return windowBits === 8 ? 'windowBits 8' : undefined;
  }
  return windowBits === 15 || windowBits === 0 ? undefined : 'windowBits of a reader';
}

function isPacker(name: string): boolean {
  return !/^(?:in|gun|unz)/i.test(name);
}

function byteLengthOf(input: unknown): number {
  if (typeof input === 'string') return Buffer.byteLength(input);
  const { byteLength } = (input ?? {}) as { byteLength?: unknown };
  return typeof byteLength === 'number' ? byteLength : 0;
}

function increase(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
