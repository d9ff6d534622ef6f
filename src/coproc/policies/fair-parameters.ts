/**
 * The knobs of the `fair` policy, and its admission test: which budgets fit together.
 */
import { limits } from '../../base/limits.js';
import { NS_PER_MS, NS_PER_SECOND, NS_PER_US } from '../../base/units.js';
import type { ParameterSpec, Parameters } from '../policy.js';

/** Knobs of the policy on a coproc. */
export const fairParameters: readonly ParameterSpec[] = [
  {
    name: 'latencyTargetNs',
    unit: 'ns',
    least: 100 * NS_PER_US,
    most: NS_PER_SECOND,
    default: limits.TIME_SLICE_NS,
    takesEffect: 'next turn',
    doc:
      'Slice of a vcoproc of average weight: a round of all that have work takes this times their number. ' +
      'It is also what one that slept is owed at most for having slept.',
  },
  {
    name: 'minSliceNs',
    unit: 'ns',
    least: 10 * NS_PER_US,
    most: 100 * NS_PER_MS,
    default: NS_PER_MS,
    takesEffect: 'next turn',
    doc: 'Shortest slice, however small the weight. Only what is left of a cap or a budget can be shorter.',
  },
  {
    name: 'minRunNs',
    unit: 'ns',
    least: 0,
    most: limits.MIN_RUN_NS_MAX,
    default: limits.MIN_RUN_NS,
    takesEffect: 'next decision',
    doc: 'How long a vcoproc runs before the wake of another can take the coproc from it.',
  },
  {
    name: 'capWindowNs',
    unit: 'ns',
    least: limits.CAP_WINDOW_NS_MIN,
    most: limits.CAP_WINDOW_NS_MAX,
    default: limits.CAP_WINDOW_NS,
    takesEffect: 'next decision',
    doc:
      'Time over which caps are kept: in any such time a vcoproc uses its cap of it, and one latencyTargetNs, at most. ' +
      'A shorter one lets capped vcoprocs run in smaller portions.',
  },
];

/** Knobs of each vcoproc. */
export const fairVcoprocParameters: readonly ParameterSpec[] = [
  {
    name: 'weight',
    unit: '1',
    least: 1,
    most: limits.WEIGHT_MAX,
    default: limits.WEIGHT,
    takesEffect: 'next decision',
    doc: 'Its share of the coproc, in proportion to the weights of the others that have work.',
  },
  {
    name: 'cap',
    unit: 'percent',
    least: 0,
    most: 100,
    default: 0,
    takesEffect: 'next decision',
    doc: 'Share that it never exceeds, even if the coproc is idle otherwise; 0 for none.',
  },
  {
    name: 'budgetNs',
    unit: 'ns',
    least: 0,
    most: limits.PERIOD_NS_MAX,
    default: 0,
    takesEffect: 'next period',
    doc:
      'Time that it may run in each period, and then before all that have no budget; 0 for none. ' +
      'Those with a budget run in the order of the ends of their periods.',
  },
  {
    name: 'periodNs',
    unit: 'ns',
    least: 0,
    most: limits.PERIOD_NS_MAX,
    default: 0,
    takesEffect: 'next period',
    doc: 'Period of the budget; what is left of a budget at its end is lost. 0 for none.',
  },
  {
    name: 'latencyClass',
    unit: '1',
    least: 0,
    most: 1,
    default: 0,
    takesEffect: 'next decision',
    doc:
      '1: sensitive to latency. Its wake can take the coproc from one that is ahead of it, and its slices are a quarter ' +
      'as long. Its share is the same.',
  },
];

/** Part of the coproc that a budget takes; 0 without one. */
function utilisation({ budgetNs, periodNs }: Parameters): number {
  return periodNs! === 0 ? 0 : budgetNs! / periodNs!;
}

/** Why the budgets do not fit together; null if they do: each is complete, and together they are no more than the coproc. */
export function admitBudgets(existing: readonly Parameters[], candidate: Parameters): string | null {
  const { budgetNs, periodNs } = candidate;
  if ((budgetNs === 0) !== (periodNs === 0)) return 'budgetNs and periodNs are given together';
  if (budgetNs === 0) return null;
  if (budgetNs! < limits.BUDGET_NS_MIN)
    return `budgetNs is at least ${limits.BUDGET_NS_MIN}, not ${budgetNs}`;
  if (budgetNs! > periodNs!) return `budgetNs is at most periodNs ${periodNs}, not ${budgetNs}`;
  const taken = existing.reduce((sum, parameters) => sum + utilisation(parameters), 0);
  // Thirds and tenths do not add up exactly; a part in a billion too much harms nobody.
  if (taken + utilisation(candidate) <= 1 + 1e-9) return null;
  return `budgets take ${percent(taken)} of the coproc, and ${percent(utilisation(candidate))} more do not fit`;
}

function percent(part: number): string {
  return `${Math.round(part * 1000) / 10} %`;
}
