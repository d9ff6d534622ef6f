/**
 * Parameters of a vcoproc: those that the policy of its coproc declares, and the core's own, which mean the same under
 * every policy and of which no policy hears.
 */
import type { ParameterSpec, Parameters, PolicyModule } from './policy.js';

/** What the scheduler core itself lets be set of each vcoproc. */
export const coreParameters: readonly ParameterSpec[] = [
  {
    name: 'cooperates',
    unit: '1',
    least: 0,
    most: 1,
    default: 0,
    takesEffect: 'next denial',
    doc: '1: its processes are told when its device denies to stop, and promise to give up soon what it is at. No promise is relied on.',
  },
];

/** All parameters of a vcoproc under `policy`. */
export function parametersUnder({ vcoprocParameters }: PolicyModule): readonly ParameterSpec[] {
  return [...vcoprocParameters, ...coreParameters];
}

/** Those of `parameters` that `policy` declares: what it is told of a vcoproc. */
export function policyPart({ vcoprocParameters }: PolicyModule, parameters: Parameters): Parameters {
  return knownTo(vcoprocParameters, parameters);
}

/** Those of `parameters` that `specs` declare. */
export function knownTo(specs: readonly ParameterSpec[], parameters: Parameters): Parameters {
  const names = new Set(specs.map(({ name }) => name));
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => names.has(name)));
}
