/**
 * What a control domain needs, as a part of `warpdrive/sim`: the start-up configuration of a machine, and the calls of its
 * framework with their answers (docs/configuration.md, docs/calls.md).
 */
export type {
  CallResults,
  CoprocessorDetails,
  CoprocessorEntry,
  DomainEntry,
  VcoprocEntry,
} from '../coproc/call-results.js';
export type { CallArguments, CallName, CallRequest } from '../coproc/calls.js';
export type { CallError } from '../coproc/framework.js';
export type { LedgerSnapshot, VcoprocTimes } from '../coproc/ledger.js';
export type { Phase, SwitchPayer } from '../coproc/scheduler-parts.js';
export type { CoprocSnapshot, VcoprocSnapshot } from '../coproc/snapshot.js';
export type { SwitchSnapshot } from '../coproc/switch-statistics.js';
export type { VcoprocState } from '../coproc/vcoproc.js';
export type { VcpuPattern } from '../coproc/vcpu.js';
export type { FaultModel } from '../hw/fault-model.js';
export { builtinPolicies } from '../machine/builtin-policies.js';
export type { DomainsSetup } from '../machine/config-domains.js';
export {
  checkConfigFile,
  type InstanceSetup,
  type KnownParts,
  type MachineSetup,
  parseConfigText,
} from '../machine/config-file.js';
export type { AnswerTo, CallAnswer } from '../machine/domain-calls.js';
export type { DomainRequest } from '../machine/domains.js';
