/** What a simulated coprocessor (sim-hardware.ts) is like. */
import type { Prng } from '../base/prng.js';
import type { Clock } from '../hw/clock.js';
import type { RegisterSpec } from '../hw/device-model.js';
import type { RegisterHooks } from '../hw/register-map.js';
import type { SimContextOptions } from './sim-context.js';
import type { SimMemory } from './sim-memory.js';
import type { SimCosts, SimFaults } from './sim-steps.js';

/** What the whole of it is like. */
export interface SimHardwareOptions {
  readonly clock: Clock;
  readonly memory: SimMemory;
  /** `sim0`, requester 0, unless said otherwise. */
  readonly instance?: string;
  readonly deviceId?: number;
  readonly registers?: readonly RegisterSpec[];
  readonly costs?: SimCosts;
  /** For random costs and bursts. */
  readonly prng?: Prng;
  /** What a context is like; asked when it is created. */
  readonly contextOf: (context: number) => SimContextOptions;
  /** Work that comes with each queue doorbell and each write to a doorbell register, ns; 0 unless said otherwise. */
  readonly doorbellNs?: number;
  /** What `live` registers of a context answer, and who is told of its `doorbell` registers; asked when it is created. */
  readonly hooksOf?: (context: number) => RegisterHooks;
  /** Asked at each step: null, or what goes wrong. `context` is null for the whole device. */
  readonly faultOf?: SimFaults;
  /** Told of each request that is over. */
  readonly finished?: (context: number, arrivedNs: number, finishedNs: number) => void;
}
