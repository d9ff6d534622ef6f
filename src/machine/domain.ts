/**
 * What a domain consists of, and what it can use.
 */
import type { Vcoproc } from '../coproc/vcoproc.js';
import type { FaultModel } from '../hw/fault-model.js';
import type { IdPool } from '../kernel/id-pool.js';
import type { KernelDriver } from '../kernel/kernel-driver.js';
import type { MemoryDomain } from '../kernel/memory-domain.js';

/** An instance that domains can use. */
export interface SharedInstance {
  readonly instance: string;
  readonly deviceId: number;
  readonly driver: KernelDriver;
  readonly faultModel: FaultModel;
  /** Hardware queue numbers: those of all domains together. */
  readonly queueNumbers: IdPool;
}

/** How far a domain is: it can be used only while it is `live`. */
export type DomainPhase = 'creating' | 'live' | 'ending';

/** A domain, from the first step of its creation to the last of its end. */
export interface Domain {
  readonly id: number;
  readonly name: string;
  readonly memory: MemoryDomain;
  /** By instance. */
  readonly vcoprocs: Map<string, Vcoproc>;
  /** Names in /dev, by instance. */
  readonly devices: Map<string, string>;
  /** Those that have not ended, by pid. Written by domain-processes.ts alone. */
  readonly processes: Set<number>;
  /** Written by domains.ts alone. */
  phase: DomainPhase;
}

/** A new domain without anything but its memory. */
export function newDomain(id: number, name: string, memory: MemoryDomain, phase: DomainPhase): Domain {
  return { id, name, memory, vcoprocs: new Map(), devices: new Map(), processes: new Set(), phase };
}
