/**
 * Byte-layout tables: one declaration of a register file, descriptor or memory structure gives its readers,
 * writers, validation and documentation. An offset is written once, here or in a table, and nowhere else.
 *
 * Little endian throughout. Bit ranges are inclusive, as datasheets write them. Reading a field never throws; a
 * value that does not fit its field is a bug of the writer and asserts.
 */
import { assert, InvariantError } from './assert.js';

/** One row of a table. `bits` are counted within the field's own word. */
export interface FieldSpec {
  /** Byte offset of the word that holds the field. */
  readonly at: number;
  /** Width of that word in bits; 32 unless said otherwise. */
  readonly width?: 8 | 16 | 32 | 64;
  /** Inclusive bit range [low, high] inside the word; the whole word when absent. */
  readonly bits?: readonly [low: number, high: number];
  /** What the field means, with its unit. */
  readonly doc: string;
}

/** A field compiled from its row. `base` is the byte offset of the structure inside `view`. */
export interface Field {
  readonly name: string;
  readonly spec: FieldSpec;
  /** Largest value that fits (2^64 - 1 is held inexactly). */
  readonly max: number;
  /** The field's value. 64-bit words: exact below 2^53. */
  read(view: DataView, base: number): number;
  /** Stores `value`, leaving the other bits of the word alone. */
  write(view: DataView, base: number, value: number): void;
}

/** A structure's table, compiled: its fields by name. */
export interface Layout<Name extends string = string> {
  readonly name: string;
  /** Size of the structure in bytes. */
  readonly bytes: number;
  /** Where the layout comes from: a specification section, a datasheet, or our own SPEC.md. */
  readonly source: string;
  readonly fields: Readonly<Record<Name, Field>>;
}

const TWO_32 = 0x1_0000_0000;

/** Stops when `value` does not fit: a field never stores anything else than what was written. */
function requireFit(name: string, value: number, max: number): void {
  if (value >= 0 && value <= max && Number.isInteger(value)) return;
  throw new InvariantError(`broken invariant: ${name} holds a whole number up to ${max}, not ${value}`);
}

function wordField(name: string, spec: FieldSpec, width: 8 | 16 | 32): Field {
  const { at } = spec;
  const max = 2 ** width - 1;
  const accessors = {
    8: {
      read: (view: DataView, base: number) => view.getUint8(base + at),
      store: (view: DataView, base: number, value: number) => view.setUint8(base + at, value),
    },
    16: {
      read: (view: DataView, base: number) => view.getUint16(base + at, true),
      store: (view: DataView, base: number, value: number) => view.setUint16(base + at, value, true),
    },
    32: {
      read: (view: DataView, base: number) => view.getUint32(base + at, true),
      store: (view: DataView, base: number, value: number) => view.setUint32(base + at, value, true),
    },
  } as const;
  const { read, store } = accessors[width];
  const write = (view: DataView, base: number, value: number): void => {
    requireFit(name, value, max);
    store(view, base, value);
  };
  return { name, spec, max, read, write };
}

function doubleWordField(name: string, spec: FieldSpec): Field {
  const { at } = spec;
  return {
    name,
    spec,
    max: 2 ** 64 - 1,
    read: (view, base) => view.getUint32(base + at + 4, true) * TWO_32 + view.getUint32(base + at, true),
    write: (view, base, value) => {
      requireFit(name, value, 2 ** 64 - 1);
      view.setUint32(base + at, value % TWO_32, true);
      view.setUint32(base + at + 4, Math.floor(value / TWO_32), true);
    },
  };
}

function bitField(name: string, spec: FieldSpec, low: number, high: number): Field {
  const word = wordField(name, spec, (spec.width ?? 32) as 8 | 16 | 32);
  const max = 2 ** (high - low + 1) - 1;
  const keep = ~(max << low);
  return {
    name,
    spec,
    max,
    read: (view, base) => (word.read(view, base) >>> low) & max,
    write: (view, base, value) => {
      requireFit(name, value, max);
      word.write(view, base, ((word.read(view, base) & keep) | (value << low)) >>> 0);
    },
  };
}

function compileField(name: string, spec: FieldSpec, structBytes: number): Field {
  const width = spec.width ?? 32;
  assert(spec.at >= 0 && spec.at + width / 8 <= structBytes, `${name} lies inside its structure`);
  if (spec.bits === undefined)
    return width === 64 ? doubleWordField(name, spec) : wordField(name, spec, width);
  const [low, high] = spec.bits;
  assert(width !== 64, `${name}: bit ranges lie in words of at most 32 bits`);
  assert(low >= 0 && low <= high && high < width, `${name}: bits ${low}:${high} lie inside the word`);
  // A range of all 32 bits would overflow the mask arithmetic; it is the whole word anyway.
  return high - low === 31 ? wordField(name, spec, 32) : bitField(name, spec, low, high);
}

/** Compiles a table. `source` says where the layout is specified. */
export function defineLayout<Name extends string>(
  name: string,
  bytes: number,
  source: string,
  table: Readonly<Record<Name, FieldSpec>>,
): Layout<Name> {
  const fields = {} as Record<Name, Field>;
  for (const key of Object.keys(table) as Name[]) fields[key] = compileField(key, table[key], bytes);
  return { name, bytes, source, fields };
}

/** Every field's value, by name: for traces, tests and error messages. */
export function dumpLayout<Name extends string>(
  layout: Layout<Name>,
  view: DataView,
  base: number,
): Record<Name, number> {
  const dump = {} as Record<Name, number>;
  for (const name of Object.keys(layout.fields) as Name[]) dump[name] = layout.fields[name].read(view, base);
  return dump;
}

/** The table as Markdown, for a device's SPEC.md. */
export function describeLayout(layout: Layout): string {
  const rows = Object.values(layout.fields).map(({ name, spec }) => {
    const width = spec.width ?? 32;
    const bits = spec.bits === undefined ? `${width - 1}:0` : `${spec.bits[1]}:${spec.bits[0]}`;
    return `| ${spec.at} | ${width} | ${bits} | ${name} | ${spec.doc} |`;
  });
  return ['| offset | width | bits | field | meaning |', '|---|---|---|---|---|', ...rows].join('\n');
}
