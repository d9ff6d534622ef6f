/**
 * The only door for authors of device models, kernel drivers and policies. Re-exports, nothing else.
 */
export { type DriverModule, defineDriver } from './base/define-driver.js';
export { defineLayout, describeLayout, type Field, type FieldSpec, type Layout } from './base/layout.js';
export { limits } from './base/limits.js';
export {
  type ChargeKind,
  type Decision,
  definePolicy,
  type ParameterSpec,
  type Parameters,
  type PolicyModule,
  type SchedulableVcoproc,
  type SchedulerPolicy,
} from './coproc/policy.js';
export type { Done } from './hw/coproc-port.js';
export {
  type DeviceDescription,
  type DeviceModel,
  type DeviceSignals,
  type Dma,
  type DmaAddress,
  DmaFault,
  type Preemption,
  type RegisterAccess,
  type RegisterSpec,
  type RegisterStore,
  readAddress,
  type SqeRequest,
} from './hw/device-model.js';
export type { DeviceRegisters, DriverIoctl, KernelDriver } from './kernel/kernel-driver.js';
