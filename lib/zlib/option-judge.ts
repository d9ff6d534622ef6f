/**
 * Whether a one-shot call may go to a device, by its options. Node is the judge: each set of values is tried on Node's
 * own class once and remembered; whatever is not plainly valid is left to Node's function, errors and all.
 */
import node, { type ZlibOptions } from 'node:zlib';
import { limits } from '../../src/base/limits.js';
import { type Coding, codingOf } from './coding.js';
import type { Kind } from './kinds.js';

/** Numbers that are all there is to know of an option. */
const NUMBERS = [
  'level',
  'memLevel',
  'strategy',
  'windowBits',
  'chunkSize',
  'maxOutputLength',
  'flush',
  'finishFlush',
] as const;
/** Options that only Node has; absent or false they change nothing. */
const SWITCHES = ['info', 'dictionary', 'rejectGarbageAfterEnd'] as const;
const KNOWN: ReadonlySet<string> = new Set([...NUMBERS, ...SWITCHES]);

type Fields = Readonly<Record<string, unknown>>;

/** A call that a device may take. */
export interface DeviceCall {
  readonly coding: Exclude<Coding, string>;
  /** The same options for Node, as they were at the time of the call. */
  readonly options: ZlibOptions;
}

const OUTPUT_BYTES_MAX = 2 ** 32;

export class OptionJudge {
  readonly #kind: Kind;
  readonly #known = new Map<string, DeviceCall | string>();
  #none: DeviceCall | string | null = null;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  /** What a device is asked for; a string says why it is not asked. */
  judge(options: unknown): DeviceCall | string {
    // Most calls have none: nothing of them is looked at twice.
    if (options === undefined) {
      this.#none ??= this.#judgeNumbers({});
      return this.#none;
    }
    const fields = options ?? {};
    if (typeof fields !== 'object') return 'the options are no object';
    const unknown = Object.keys(fields).find((key) => !KNOWN.has(key));
    if (unknown !== undefined) return `the option ${unknown} is one of Node's streams`;
    for (const name of SWITCHES) {
      const value = (fields as Fields)[name];
      if (value !== undefined && value !== false) return `the option ${name} is Node's`;
    }
    return this.#judgeNumbers(fields as Fields);
  }

  #judgeNumbers(fields: Fields): DeviceCall | string {
    const values = NUMBERS.map((name) => fields[name]);
    if (values.some((value) => value !== undefined && typeof value !== 'number')) {
      return 'an option is no number';
    }
    const key = values.join();
    const known = this.#known.get(key) ?? this.#try(values);
    // Programs use a handful of sets; whoever makes up new ones for ever must not fill the memory.
    if (this.#known.size >= limits.ZLIB_OPTION_SETS) this.#known.clear();
    this.#known.set(key, known);
    return known;
  }

  #try(values: readonly unknown[]): DeviceCall | string {
    const present = NUMBERS.map((name, index) => [name, values[index]] as const);
    const options: ZlibOptions = Object.fromEntries(present.filter(([, value]) => value !== undefined));
    try {
      new node[this.#kind.stream]({ ...options }).close();
    } catch {
      return 'Node refuses the options';
    }
    const { flush = 0, finishFlush = node.constants.Z_FINISH, maxOutputLength } = options;
    if (flush !== 0 || finishFlush !== node.constants.Z_FINISH) return 'only whole streams are one request';
    if (maxOutputLength !== undefined && !isLimit(maxOutputLength))
      return 'the output limit is no whole number';
    const coding = codingOf(this.#kind, options);
    if (typeof coding === 'string') return coding;
    return {
      coding: { ...coding, split: false, ...(maxOutputLength === undefined ? {} : { maxOutputLength }) },
      options,
    };
  }
}

function isLimit(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes <= OUTPUT_BYTES_MAX;
}
