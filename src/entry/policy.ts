/**
 * `warpdrive/policy`: the contract of a scheduling policy, `definePolicy`, and what a policy is tried with.
 */
export {
  type ChargeKind,
  type Decision,
  definePolicy,
  type ParameterSpec,
  type Parameters,
  type PolicyModule,
  type SchedulableVcoproc,
  type SchedulerPolicy,
} from '../coproc/policy.js';
export { type BenchAccount, type BenchLoad, type BenchRun, PolicyBench } from '../coproc/policy-bench.js';
export {
  type PolicyCheck,
  type PolicyConformanceOptions,
  policyConformance,
} from '../coproc/policy-conformance.js';
