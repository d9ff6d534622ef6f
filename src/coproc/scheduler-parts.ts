/** What a scheduler is made of, and what it can be doing. */
import type { Clock } from '../hw/clock.js';
import type { ContextHardware } from '../hw/context-hardware.js';
import type { MemorySwitch } from './context-switch.js';
import type { Parameters, PolicyModule } from './policy.js';

/** What the core counts; kept apart because bypass is proved by their not moving. */
export interface SchedulerCounters {
  wakeup(): void;
  tick(): void;
}

/** Who pays for a switch: nobody, the one that is switched out, or the one that is switched in (R95). */
export type SwitchPayer = 'system' | 'from' | 'to';

export interface SchedulerParts {
  readonly hardware: ContextHardware;
  readonly memory: MemorySwitch;
  readonly clock: Clock;
  readonly counters: SchedulerCounters;
  readonly policy: PolicyModule;
  /** Complete and checked. */
  readonly parameters: Parameters;
  readonly switchPayer: SwitchPayer;
}

/** `settled`: one vcoproc is loaded, or none. `leaving`, `entering`: the halves of a switch. */
export type Phase = 'settled' | 'leaving' | 'entering';
