/**
 * The shape of the start-up configuration file: the one table from which it is checked (config-file.ts), documented
 * (docs/configuration.md) and described to editors (docs/warpdrive.config.schema.json). What depends on more than one
 * place of it, such as names that must be known, is checked in config-file.ts alone.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../base/errors.js';
import { limits } from '../base/limits.js';
import {
  type AmountShape,
  amountOf,
  expectationOf,
  mistakeInShape,
  type ObjectShape,
  type RecordShape,
  type Shape,
  type ShapeField,
} from '../base/plain-shape.js';
import { GiB, KiB, MiB, NS_PER_MS, NS_PER_SECOND, NS_PER_US, PAGE_BYTES } from '../base/units.js';
import type { SwitchPayer } from '../coproc/scheduler-parts.js';
import { coprocessorsShape, nameShape, parametersShape } from '../coproc/shared-shapes.js';
import { FAULT_MODELS } from '../hw/fault-model.js';
import { vcpuPhaseShape } from './vcpu-patterns.js';

/** Who can pay for switches. */
export const SWITCH_PAYERS: readonly SwitchPayer[] = ['system', 'from', 'to'];
const BYTE_UNITS = { KiB, MiB, GiB };
const TIME_UNITS = { us: NS_PER_US, ms: NS_PER_MS, s: NS_PER_SECOND };

/** Policy of an instance that names none: as `InstanceConfig.policy`. */
export const DEFAULT_POLICY = 'null';

/** Size of the machine's memory. */
export const machineMemoryShape: AmountShape = {
  kind: 'amount',
  whole: {
    kind: 'whole',
    unit: 'bytes',
    least: limits.MEMORY_BYTES_MIN,
    most: limits.MEMORY_BYTES_MAX,
    step: 64 * KiB,
  },
  units: BYTE_UNITS,
};

/** Size of a domain's memory. */
export const domainMemoryShape: AmountShape = {
  kind: 'amount',
  whole: {
    kind: 'whole',
    unit: 'bytes',
    least: limits.DOMAIN_BYTES_MIN,
    most: limits.GUEST_BYTES_MAX,
    step: PAGE_BYTES,
  },
  units: BYTE_UNITS,
};

/** A time that a policy checks: only what kind of value it is, is known here. */
export const timeShape: AmountShape = {
  kind: 'amount',
  whole: { kind: 'whole', unit: 'ns', least: 0, most: Number.MAX_SAFE_INTEGER },
  units: TIME_UNITS,
};

const coprocessorShape: ObjectShape = {
  kind: 'object',
  fields: {
    id: { shape: nameShape, doc: 'Identifier of the instance, which no other has: `zip0`.' },
    driver: { shape: nameShape, doc: 'Its kind: the name of a driver of the machine, `zip` or `copy`.' },
    policy: {
      shape: nameShape,
      doc: 'The policy that shares it between domains: `null`, `round-robin`, `fair`, or one that the machine was given.',
      absent: `\`${DEFAULT_POLICY}\``,
    },
    parameters: {
      shape: parametersShape,
      doc: 'Parameters of the policy on this instance, by name; see the tables of the policies.',
      absent: 'each has its default',
    },
    switchPayer: {
      shape: { kind: 'choice', choices: SWITCH_PAYERS },
      doc: 'Who pays for the time of a switch: nobody (`system`), the vcoproc that is switched out, or the one that is switched in.',
      absent: '`system`',
    },
    faultModel: {
      shape: { kind: 'choice', choices: FAULT_MODELS },
      doc: 'What becomes of an access of the device to a page that is not there.',
      absent: '`pageRequests`',
    },
  },
};

/** A key of a domain that stands for a parameter of policies. */
const shorthand = (parameter: string, shape: Shape): ShapeField => ({
  shape,
  doc: `\`${parameter}\` on each coprocessor of the domain that does not say otherwise.`,
  absent: 'what the policy says',
});

/** Keys of a domain that stand for a parameter on each of its coprocessors, and which. */
export const SHORTHANDS = { weight: 'weight', cap: 'cap', budget: 'budgetNs', period: 'periodNs' } as const;

/** What the host's domain and all others have; `absent` says what they use by default. */
const domainFields = (absent: string): Readonly<Record<string, ShapeField>> => ({
  coprocessors: {
    shape: {
      kind: 'either',
      list: { kind: 'list', of: nameShape, most: limits.INSTANCES_MAX },
      record: coprocessorsShape,
    },
    doc: 'The instances that the domain uses: an array of identifiers, or an object with its parameters on each of them.',
    absent,
  },
  weight: shorthand(SHORTHANDS.weight, parametersShape.of),
  cap: shorthand(SHORTHANDS.cap, parametersShape.of),
  budget: shorthand(SHORTHANDS.budget, timeShape),
  period: shorthand(SHORTHANDS.period, timeShape),
});

/** How long a processor runs or sleeps. */
const phaseShape = (least: number): AmountShape => ({
  kind: 'amount',
  whole: vcpuPhaseShape(least),
  units: TIME_UNITS,
});
export const busyShape = phaseShape(1);
export const idleShape = phaseShape(0);

const vcpuShape: ObjectShape = {
  kind: 'object',
  fields: {
    busy: { shape: busyShape, doc: 'How long it runs.' },
    idle: { shape: idleShape, doc: 'How long it sleeps then, unless an interrupt wakes it.' },
  },
};

const domainShape: ObjectShape = {
  kind: 'object',
  fields: {
    memory: { shape: domainMemoryShape, doc: 'Its memory, of which no other domain has a byte.' },
    ...domainFields('none'),
    vcpu: {
      shape: vcpuShape,
      doc: 'When its processor runs and sleeps, on a simulated machine: a machine of threads has real ones, and refuses this.',
      absent: 'it always runs',
    },
  },
};

const otherDomainsShape: RecordShape = { kind: 'record', names: nameShape, of: domainShape };

/** A whole configuration file. */
export const configShape: ObjectShape = {
  kind: 'object',
  fields: {
    $schema: {
      shape: { kind: 'text', pattern: /^/, expected: 'a text' },
      doc: 'For editors: where the JSON schema is. The machine does not look at it.',
      absent: 'nothing',
    },
    memory: {
      shape: machineMemoryShape,
      doc: 'Physical memory of the machine, that of all domains included.',
      absent: `${limits.MEMORY_BYTES} bytes`,
    },
    chosen: {
      shape: {
        kind: 'object',
        fields: {
          coprocessors: {
            shape: { kind: 'list', of: coprocessorShape, most: limits.INSTANCES_MAX },
            doc: 'The instances of the machine that domains share.',
          },
        },
      },
      doc: 'What the framework owns from the start, as the `chosen` node of a device tree would say it.',
      absent: 'one instance of each driver that may be shared, named after it: `zip0`',
    },
    domains: {
      shape: {
        kind: 'object',
        fields: {
          host: {
            shape: { kind: 'object', fields: domainFields('all') },
            doc: 'The host: domain 0, which has all memory that no other domain has.',
            absent: 'it uses every instance, with default parameters',
          },
        },
        others: otherDomainsShape,
      },
      doc: 'Domains that exist from the start, by name.',
      absent: 'the host alone',
    },
  },
};

/** The value of an amount that has its shape, in the unit of its whole numbers: a text can still be out of range. */
export function amountIn(
  shape: AmountShape,
  value: number | string,
  place: string,
): Result<number, InvalidArgument> {
  const amount = amountOf(shape, value);
  if (mistakeInShape(shape.whole, amount, place) === null) return ok(amount);
  const expected = expectationOf(shape);
  return err(invalidArgument({ argument: place, value, expected, code: 'ERR_OUT_OF_RANGE' }));
}
