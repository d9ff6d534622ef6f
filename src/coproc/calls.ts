/**
 * The calls of the shared-coprocessor framework as a documented interface: what a hypervisor would offer as hypercalls to
 * the tools of its control domain (R59). One table says of each call what it takes, how it fails, and an example;
 * requests are checked against it (machine/domain-calls.ts), docs/calls.md is made from it, and each of its examples is
 * run. What the calls answer is in call-results.ts.
 *
 * A request is plain data: `{ call: 'listVcoprocs', instance: 'zip0' }`. So is its answer.
 */
import { limits } from '../base/limits.js';
import type { ObjectShape, Shape, ShapeField } from '../base/plain-shape.js';
import { MiB, PAGE_BYTES } from '../base/units.js';
import type { Parameters } from './policy.js';
import { coprocessorsShape, nameShape, parametersShape } from './shared-shapes.js';

/** What each call takes beside its name. */
export interface CallArguments {
  readonly createDomain: {
    readonly name: string;
    readonly memoryBytes: number;
    readonly coprocessors?: Readonly<Record<string, Parameters>>;
  };
  readonly listDomains: Readonly<Record<never, never>>;
  readonly listCoprocessors: Readonly<Record<never, never>>;
  readonly listVcoprocs: { readonly domain?: string; readonly instance?: string };
  readonly queryCoprocessor: { readonly instance: string };
  readonly queryVcoproc: { readonly domain: string; readonly instance: string };
  readonly setPolicy: {
    readonly instance: string;
    readonly policy: string;
    readonly parameters?: Parameters;
  };
  readonly setPolicyParameters: { readonly instance: string; readonly parameters: Parameters };
  readonly attach: { readonly domain: string; readonly instance: string; readonly parameters?: Parameters };
  readonly setDomainParameters: {
    readonly domain: string;
    readonly instance: string;
    readonly parameters: Parameters;
  };
  readonly detach: { readonly domain: string; readonly instance: string };
  readonly destroyDomain: { readonly domain: string };
}

/** Names of the calls. */
export type CallName = keyof CallArguments;

/** A call with its arguments. */
export type CallRequest = {
  [Name in CallName]: { readonly call: Name } & CallArguments[Name];
}[CallName];

/** One way in which a call fails. */
export interface CallFailure {
  readonly code: string;
  /** When it does. */
  readonly when: string;
  /** A request that fails so, after the examples before it. */
  readonly example: CallRequest;
}

/** One call. */
export interface CallSpec {
  /** What it does. */
  readonly doc: string;
  readonly arguments: ObjectShape['fields'];
  readonly failures: readonly CallFailure[];
  /** A request that succeeds on the machine of docs/calls.md, after the examples of the calls before it. */
  readonly example: CallRequest;
}

const VALUE = 'ERR_INVALID_ARG_VALUE';
const STATE = 'ERR_WD_INVALID_STATE';

const field = (shape: Shape, doc: string): ShapeField => ({ shape, doc });
const optional = (shape: Shape, doc: string, absent: string): ShapeField => ({ shape, doc, absent });

const instance = field(nameShape, 'Name of a registered instance.');
const domain = field(nameShape, 'Name of a domain; `host` is the one that is always there.');
const unknownInstance = (example: CallRequest): CallFailure => ({
  code: VALUE,
  when: 'there is no such instance',
  example,
});
const unknownDomain = (example: CallRequest): CallFailure => ({
  code: VALUE,
  when: 'there is no such domain',
  example,
});

/** All calls, in the order in which the examples build on each other. */
export const calls: { readonly [Name in CallName]: CallSpec } = {
  createDomain: {
    doc: 'Creates a domain with memory and vcoprocs of its own. When a step fails, nothing of it is left.',
    arguments: {
      name: field(nameShape, 'Its name, which no other domain has.'),
      memoryBytes: field(
        {
          kind: 'whole',
          unit: 'bytes',
          least: limits.DOMAIN_BYTES_MIN,
          most: limits.GUEST_BYTES_MAX,
          step: PAGE_BYTES,
        },
        'Size of its memory.',
      ),
      coprocessors: optional(
        coprocessorsShape,
        'Instances that it uses, with its parameters on each: those of the policy, and `cooperates`.',
        'none',
      ),
    },
    failures: [
      {
        code: VALUE,
        when: 'another domain has the name',
        example: { call: 'createDomain', name: 'web', memoryBytes: 4 * MiB },
      },
      unknownInstance({
        call: 'createDomain',
        name: 'batch',
        memoryBytes: 4 * MiB,
        coprocessors: { zip9: {} },
      }),
      {
        code: VALUE,
        when: 'the policy of an instance has no such parameter, or not with this value',
        example: {
          call: 'createDomain',
          name: 'batch',
          memoryBytes: 4 * MiB,
          coprocessors: { zip0: { weight: 0 } },
        },
      },
      {
        code: STATE,
        when: 'the machine has too little memory left',
        example: { call: 'createDomain', name: 'batch', memoryBytes: 1024 * MiB },
      },
      {
        code: STATE,
        when: 'the policy of an instance takes no more vcoprocs, or its promises to them do not fit together',
        example: {
          call: 'createDomain',
          name: 'batch',
          memoryBytes: 4 * MiB,
          coprocessors: { copy0: {} },
        },
      },
    ],
    example: {
      call: 'createDomain',
      name: 'web',
      memoryBytes: 4 * MiB,
      coprocessors: { zip0: { weight: 512 } },
    },
  },
  listDomains: {
    doc: 'All domains, the host first; also those that are being created or destroyed.',
    arguments: {},
    failures: [],
    example: { call: 'listDomains' },
  },
  listCoprocessors: {
    doc: 'All instances that domains share.',
    arguments: {},
    failures: [],
    example: { call: 'listCoprocessors' },
  },
  listVcoprocs: {
    doc: 'Pairs of domain and instance: all, those of one domain, or those of one instance. All views have the same pairs.',
    arguments: {
      domain: optional(nameShape, 'Only those of this domain.', 'of all domains'),
      instance: optional(nameShape, 'Only those of this instance.', 'of all instances'),
    },
    failures: [
      unknownDomain({ call: 'listVcoprocs', domain: 'wep' }),
      unknownInstance({ call: 'listVcoprocs', instance: 'zip' }),
    ],
    example: { call: 'listVcoprocs', instance: 'zip0' },
  },
  queryCoprocessor: {
    doc: 'Everything about one instance, at any moment, in the middle of a switch too.',
    arguments: { instance },
    failures: [unknownInstance({ call: 'queryCoprocessor', instance: 'zip9' })],
    example: { call: 'queryCoprocessor', instance: 'zip0' },
  },
  queryVcoproc: {
    doc: 'Everything about the vcoproc that one domain has of one instance.',
    arguments: { domain, instance },
    failures: [
      unknownDomain({ call: 'queryVcoproc', domain: 'wep', instance: 'zip0' }),
      {
        code: VALUE,
        when: 'the domain has no vcoproc of the instance',
        example: { call: 'queryVcoproc', domain: 'web', instance: 'copy0' },
      },
    ],
    example: { call: 'queryVcoproc', domain: 'web', instance: 'zip0' },
  },
  setPolicy: {
    doc:
      'Puts another policy in place while everybody goes on. Parameters that were set for domains hold as far as it knows ' +
      'them, and hold again when a policy comes that does.',
    arguments: {
      instance,
      policy: field(nameShape, 'Name of a policy of the machine.'),
      parameters: optional(parametersShape, 'Parameters of the policy.', 'each has its default'),
    },
    failures: [
      {
        code: VALUE,
        when: 'there is no such policy, or the machine was built without it',
        example: { call: 'setPolicy', instance: 'copy0', policy: 'credit' },
      },
      {
        code: STATE,
        when: 'the policy does not serve as many vcoprocs as there are, or not with their parameters',
        example: { call: 'setPolicy', instance: 'zip0', policy: 'null' },
      },
    ],
    example: {
      call: 'setPolicy',
      instance: 'copy0',
      policy: 'round-robin',
      parameters: { sliceNs: 1_000_000 },
    },
  },
  setPolicyParameters: {
    doc: 'Sets some parameters of the policy in place; the others stay.',
    arguments: { instance, parameters: field(parametersShape, 'Those that change.') },
    failures: [
      {
        code: VALUE,
        when: 'the policy has no such parameter, or not with this value',
        example: { call: 'setPolicyParameters', instance: 'copy0', parameters: { sliceNs: 1 } },
      },
    ],
    example: { call: 'setPolicyParameters', instance: 'copy0', parameters: { sliceNs: 2_000_000 } },
  },
  attach: {
    doc: 'Gives a domain, the host too, one more instance.',
    arguments: {
      domain,
      instance,
      parameters: optional(
        parametersShape,
        'Its parameters on the instance: those of the policy, and `cooperates`.',
        'each has its default',
      ),
    },
    failures: [
      {
        code: STATE,
        when: 'the domain has the instance already, or the instance takes no more vcoprocs',
        example: { call: 'attach', domain: 'web', instance: 'zip0' },
      },
    ],
    example: { call: 'attach', domain: 'web', instance: 'copy0' },
  },
  setDomainParameters: {
    doc:
      'Sets some parameters of a domain on one instance, those of its policy and `cooperates`; the others stay. What is set ' +
      'stands in the answer of `queryVcoproc` at once.',
    arguments: { domain, instance, parameters: field(parametersShape, 'Those that change.') },
    failures: [
      {
        code: VALUE,
        when: 'the policy has no such parameter, or not with this value',
        example: {
          call: 'setDomainParameters',
          domain: 'web',
          instance: 'copy0',
          parameters: { weight: 2 },
        },
      },
      {
        code: STATE,
        when: 'the policy could not keep what it promised to the others',
        example: {
          call: 'setDomainParameters',
          domain: 'web',
          instance: 'zip0',
          parameters: { budgetNs: 2_000_000, periodNs: 1_000_000 },
        },
      },
    ],
    example: {
      call: 'setDomainParameters',
      domain: 'web',
      instance: 'zip0',
      parameters: { weight: 1024 },
    },
  },
  detach: {
    doc: 'Takes an instance away from a domain, the host too; queues that use it end as when a device is removed.',
    arguments: { domain, instance },
    failures: [
      {
        code: VALUE,
        when: 'the domain does not have the instance',
        example: { call: 'detach', domain: 'web', instance: 'copy0' },
      },
    ],
    example: { call: 'detach', domain: 'web', instance: 'copy0' },
  },
  destroyDomain: {
    doc: 'Ends a domain: its processes, its devices, its vcoprocs, its memory. Answered when nothing of it is left.',
    arguments: { domain },
    failures: [
      {
        code: STATE,
        when: 'it is the host, which lasts as long as the machine',
        example: { call: 'destroyDomain', domain: 'host' },
      },
      unknownDomain({ call: 'destroyDomain', domain: 'web' }),
    ],
    example: { call: 'destroyDomain', domain: 'web' },
  },
};
