/**
 * Patterns in which processors of domains run and sleep: what a valid one is, and which machines can have them.
 */
import { type InvalidArgument, invalidArgument } from '../base/errors.js';
import { limits } from '../base/limits.js';
import { memberPlace, mistakeInShape, type ObjectShape, type WholeShape } from '../base/plain-shape.js';
import type { DomainRequest } from './domains.js';

/** How long a processor runs or sleeps in one go, at least `least`. */
export const vcpuPhaseShape = (least: number): WholeShape => ({
  kind: 'whole',
  unit: 'ns',
  least,
  most: limits.VCPU_PHASE_NS_MAX,
});

const patternShape: ObjectShape = {
  kind: 'object',
  fields: {
    busyNs: { shape: vcpuPhaseShape(1), doc: 'How long it runs.' },
    idleNs: { shape: vcpuPhaseShape(0), doc: 'How long it sleeps.' },
  },
};

/** The first mistake in the patterns of these domains; null when there is none. */
export function mistakeInPatterns(domains: readonly DomainRequest[]): InvalidArgument | null {
  for (const { name, vcpu } of domains) {
    const mistake = vcpu === undefined ? null : mistakeInShape(patternShape, vcpu, placeOf(name));
    if (mistake !== null) return mistake;
  }
  return null;
}

/** Why a machine whose processors are real cannot have these domains; null when it can. */
export function simulatedProcessor(domains: readonly DomainRequest[]): InvalidArgument | null {
  const found = domains.find(({ vcpu }) => vcpu !== undefined);
  if (found === undefined) return null;
  const expected = 'absent: the processors of a machine of threads are real';
  return invalidArgument({ argument: placeOf(found.name), value: found.vcpu, expected });
}

const placeOf = (domain: string): string => memberPlace(memberPlace('domains', domain), 'vcpu');
