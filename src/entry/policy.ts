/**
 * `warpdrive/policy`: the contract of a scheduling policy, and `definePolicy`.
 */
export {
  type Decision,
  definePolicy,
  type PolicyModule,
  type SchedulableVcoproc,
  type SchedulerPolicy,
} from '../coproc/policy.js';
