/**
 * Shapes of plain data, as tables: what a configuration file, or the arguments of a call, consist of. One table checks a
 * value and names the place of the first mistake; documentation and JSON schema are made from it, too.
 *
 * A place is written as code would reach it: `chosen.coprocessors[1].policy`; a name that is no identifier stands in
 * brackets, `domains["a b"]`. It always leads to something that is there: what is missing is said of the object it is
 * missing in.
 */
import { unreachable } from './assert.js';
import { type InvalidArgument, invalidArgument } from './errors.js';
import { nearestName } from './nearest-name.js';

/** A string; `expected` says in words what `pattern` asks for. */
export interface TextShape {
  readonly kind: 'text';
  readonly pattern: RegExp;
  readonly expected: string;
}

/** One of a few strings. */
export interface ChoiceShape {
  readonly kind: 'choice';
  readonly choices: readonly string[];
}

/** `true` or `false`. */
export interface FlagShape {
  readonly kind: 'flag';
}

/** Any number. */
export interface NumberShape {
  readonly kind: 'number';
}

/** A whole number from `least` to `most`, in steps of `step` from 0 on. */
export interface WholeShape {
  readonly kind: 'whole';
  /** `bytes`, `ns`; empty for a plain number. */
  readonly unit: string;
  readonly least: number;
  readonly most: number;
  /** 1 unless said otherwise. */
  readonly step?: number;
}

/** A whole number, or a text with a unit: `"512MiB"`. The range of the text is up to whoever reads it. */
export interface AmountShape {
  readonly kind: 'amount';
  readonly whole: WholeShape;
  /** What one of each unit is in the unit of `whole`. */
  readonly units: Readonly<Record<string, number>>;
}

/** An array. */
export interface ListShape {
  readonly kind: 'list';
  readonly of: Shape;
  /** Elements at most. */
  readonly most: number;
}

/** An object with keys that are not known beforehand. */
export interface RecordShape {
  readonly kind: 'record';
  readonly names: TextShape;
  readonly of: Shape;
}

/** An object with known keys, and, if `others` is there, with more. */
export interface ObjectShape {
  readonly kind: 'object';
  readonly fields: Readonly<Record<string, ShapeField>>;
  readonly others?: RecordShape;
}

/** An array or an object. */
export interface EitherShape {
  readonly kind: 'either';
  readonly list: ListShape;
  readonly record: RecordShape;
}

/** Null, or something. */
export interface NullableShape {
  readonly kind: 'nullable';
  readonly of: Shape;
}

/** What a piece of plain data has to be. */
export type Shape =
  | TextShape
  | ChoiceShape
  | FlagShape
  | NumberShape
  | WholeShape
  | AmountShape
  | ListShape
  | RecordShape
  | ObjectShape
  | EitherShape
  | NullableShape;

/** One key of an object. */
export interface ShapeField {
  readonly shape: Shape;
  /** What it means, in a sentence or two. */
  readonly doc: string;
  /** What holds when it is absent, for people; a field without this has to be there. */
  readonly absent?: string;
}

const TYPE = 'ERR_INVALID_ARG_TYPE';
const RANGE = 'ERR_OUT_OF_RANGE';
const UNKNOWN = 'ERR_WD_UNKNOWN_OPTION';

/** The first mistake in `value`, which may be anything; `place` is where it was found. Null when there is none. */
export function mistakeInShape(shape: Shape, value: unknown, place: string): InvalidArgument | null {
  switch (shape.kind) {
    case 'text':
      return wrongText(shape, value, place);
    case 'choice':
      return typeof value === 'string' && shape.choices.includes(value) ? null : wrong(shape, value, place);
    case 'flag':
      return typeof value === 'boolean' ? null : wrong(shape, value, place, TYPE);
    case 'number':
      return Number.isFinite(value) ? null : wrong(shape, value, place, TYPE);
    case 'whole':
      return wrongWhole(shape, value, place);
    case 'amount':
      return wrongAmount(shape, value, place);
    case 'list':
      return wrongList(shape, value, place);
    case 'record':
      return wrongRecord(shape, value, place);
    case 'object':
      return wrongObject(shape, value, place);
    case 'either':
      return wrongEither(shape, value, place);
    case 'nullable':
      return value === null ? null : mistakeInShape(shape.of, value, place);
    default:
      return unreachable(shape);
  }
}

/** What `shape` asks for, after "must be". */
export function expectationOf(shape: Shape): string {
  switch (shape.kind) {
    case 'text':
      return shape.expected;
    case 'choice':
      return `one of ${shape.choices.join(', ')}`;
    case 'flag':
      return 'true or false';
    case 'number':
      return 'a number';
    case 'whole':
      return expectedWhole(shape);
    case 'amount':
      return `${expectedWhole(shape.whole)}, or a text such as "2${Object.keys(shape.units).at(-1)}"`;
    case 'list':
      return `an array of at most ${shape.most}`;
    case 'record':
    case 'object':
      return 'an object';
    case 'either':
      return `${expectationOf(shape.list)}, or ${expectationOf(shape.record)}`;
    case 'nullable':
      return `null, or ${expectationOf(shape.of)}`;
    default:
      return unreachable(shape);
  }
}

/** The value of an amount that has the shape, in the unit of its whole number; the range of a text is not checked. */
export function amountOf({ units }: AmountShape, value: number | string): number {
  if (typeof value === 'number') return value;
  const [, count, unit] = /^(\d+)(\D+)$/.exec(value)!;
  return Number(count) * units[unit!]!;
}

/** What a text of an amount looks like: `512MiB`. */
export function amountPattern({ units }: AmountShape): RegExp {
  return new RegExp(`^[1-9][0-9]{0,9}(${Object.keys(units).join('|')})$`);
}

/** The place of member `name` of what is at `place`. */
export function memberPlace(place: string, name: string): string {
  const isIdentifier = /^[\p{L}$_][\p{L}\p{N}$_-]*$/u.test(name);
  if (!isIdentifier) return `${place}[${JSON.stringify(name)}]`;
  return place === '' ? name : `${place}.${name}`;
}

/** Whether it is an object with keys, as in JSON. */
export function isKeyed(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(shape: Shape, value: unknown, place: string, code?: string): InvalidArgument {
  const mistake = { argument: place, value, expected: expectationOf(shape) };
  return invalidArgument(code === undefined ? mistake : { ...mistake, code });
}

function wrongText(shape: TextShape, value: unknown, place: string): InvalidArgument | null {
  if (typeof value !== 'string') return wrong(shape, value, place, TYPE);
  return shape.pattern.test(value) ? null : wrong(shape, value, place);
}

function expectedWhole({ least, most, unit, step = 1 }: WholeShape): string {
  const to = most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`;
  const steps = step === 1 ? '' : ` in steps of ${step}`;
  return `a whole number from ${least}${to}${steps}${unit === '' ? '' : ` ${unit}`}`;
}

function wrongWhole(shape: WholeShape, value: unknown, place: string): InvalidArgument | null {
  if (typeof value !== 'number') return wrong(shape, value, place, TYPE);
  const { least, most, step = 1 } = shape;
  const isRight = Number.isInteger(value) && value >= least && value <= most && value % step === 0;
  return isRight ? null : wrong(shape, value, place, RANGE);
}

function wrongAmount(shape: AmountShape, value: unknown, place: string): InvalidArgument | null {
  if (typeof value === 'string') return amountPattern(shape).test(value) ? null : wrong(shape, value, place);
  if (typeof value !== 'number') return wrong(shape, value, place, TYPE);
  return wrongWhole(shape.whole, value, place) === null ? null : wrong(shape, value, place, RANGE);
}

function wrongList(shape: ListShape, value: unknown, place: string): InvalidArgument | null {
  if (!Array.isArray(value)) return wrong(shape, value, place, TYPE);
  if (value.length > shape.most) return wrong(shape, value, place, RANGE);
  for (const [index, element] of value.entries()) {
    const mistake = mistakeInShape(shape.of, element, `${place}[${index}]`);
    if (mistake !== null) return mistake;
  }
  return null;
}

function wrongRecord(shape: RecordShape, value: unknown, place: string): InvalidArgument | null {
  if (!isKeyed(value)) return wrong(shape, value, place, TYPE);
  return wrongMembers(shape, Object.entries(value), place);
}

function wrongMembers(
  { names, of }: RecordShape,
  members: readonly [string, unknown][],
  place: string,
): InvalidArgument | null {
  for (const [name, member] of members) {
    const at = memberPlace(place, name);
    const isName = names.pattern.test(name);
    const expected = `absent: its name would have to be ${names.expected}`;
    if (!isName) return invalidArgument({ argument: at, value: member, expected, code: UNKNOWN });
    const mistake = mistakeInShape(of, member, at);
    if (mistake !== null) return mistake;
  }
  return null;
}

/** Unknown keys first: a misspelt one explains why another is missing. */
function wrongObject(shape: ObjectShape, value: unknown, place: string): InvalidArgument | null {
  if (!isKeyed(value)) return wrong(shape, value, place, TYPE);
  const { fields, others } = shape;
  const extra = Object.entries(value).filter(([name]) => !Object.hasOwn(fields, name));
  const [unknown] = extra;
  if (others === undefined && unknown !== undefined)
    return unknownKey(memberPlace(place, unknown[0]), unknown, Object.keys(fields));
  return (
    wrongFields(fields, value, place) ?? (others === undefined ? null : wrongMembers(others, extra, place))
  );
}

function wrongFields(
  fields: ObjectShape['fields'],
  value: Readonly<Record<string, unknown>>,
  place: string,
): InvalidArgument | null {
  for (const [name, { shape, absent }] of Object.entries(fields)) {
    const isThere = Object.hasOwn(value, name) && value[name] !== undefined;
    if (!isThere && absent !== undefined) continue;
    const expected = `an object with "${name}", ${expectationOf(shape)}`;
    if (!isThere) return invalidArgument({ argument: place, value, expected });
    const mistake = mistakeInShape(shape, value[name], memberPlace(place, name));
    if (mistake !== null) return mistake;
  }
  return null;
}

function unknownKey(
  place: string,
  [name, value]: readonly [string, unknown],
  known: readonly string[],
): InvalidArgument {
  const nearest = nearestName(name, known);
  const remedy = nearest === null ? `the keys are ${known.join(', ')}` : `did you mean "${nearest}"?`;
  const expected = `absent (there is no such key; ${known.length === 0 ? 'there are none' : remedy})`;
  return invalidArgument({ argument: place, value, expected, code: UNKNOWN });
}

function wrongEither(shape: EitherShape, value: unknown, place: string): InvalidArgument | null {
  if (Array.isArray(value)) return mistakeInShape(shape.list, value, place);
  return isKeyed(value) ? mistakeInShape(shape.record, value, place) : wrong(shape, value, place, TYPE);
}
