/**
 * The scheduling policies that come with the package, by name.
 */
import { fairPolicy } from '../coproc/policies/fair.js';
import { nullPolicy } from '../coproc/policies/null.js';
import { roundRobinPolicy } from '../coproc/policies/round-robin.js';
import type { PolicyModule } from '../coproc/policy.js';

/** `null`, `round-robin` and `fair`. */
export const builtinPolicies: readonly PolicyModule[] = [nullPolicy, roundRobinPolicy, fairPolicy];
