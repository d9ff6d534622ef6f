/**
 * A shape (base/plain-shape.ts) as a JSON schema (draft 2020-12), and a validator of the part of JSON schema that comes
 * out of it: to show that editors and the machine agree on what is a configuration.
 */
import {
  type AmountShape,
  amountPattern,
  type Shape,
  type ShapeField,
  type WholeShape,
} from '../../src/base/plain-shape.js';

/** The keywords that are used. */
export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'null';
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly multipleOf?: number;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly propertyNames?: Schema;
  readonly additionalProperties?: Schema | false;
  readonly anyOf?: readonly Schema[];
  readonly description?: string;
  readonly [annotation: `$${string}`]: string;
}

/** The schema of what has `shape`. */
export function schemaOf(shape: Shape): Schema {
  switch (shape.kind) {
    case 'text':
      return shape.pattern.source === '^'
        ? { type: 'string' }
        : { type: 'string', pattern: shape.pattern.source };
    case 'choice':
      return { enum: shape.choices };
    case 'flag':
      return { type: 'boolean' };
    case 'number':
      return { type: 'number' };
    case 'whole':
      return whole(shape);
    case 'amount':
      return amount(shape);
    case 'list':
      return { type: 'array', items: schemaOf(shape.of), maxItems: shape.most };
    case 'record':
      return {
        type: 'object',
        propertyNames: schemaOf(shape.names),
        additionalProperties: schemaOf(shape.of),
      };
    case 'object':
      return object(shape);
    case 'either':
      return { anyOf: [schemaOf(shape.list), schemaOf(shape.record)] };
    case 'nullable':
      return { anyOf: [{ type: 'null' }, schemaOf(shape.of)] };
  }
}

function whole({ least, most, step = 1 }: WholeShape): Schema {
  const range = { type: 'integer', minimum: least, maximum: most } as const;
  return step === 1 ? range : { ...range, multipleOf: step };
}

function amount(shape: AmountShape): Schema {
  return { anyOf: [whole(shape.whole), { type: 'string', pattern: amountPattern(shape).source }] };
}

function object({ fields, others }: Extract<Shape, { kind: 'object' }>): Schema {
  const described = ({ shape, doc, absent }: ShapeField): Schema => ({
    description: absent === undefined ? doc : `${doc} If absent: ${absent}.`,
    ...schemaOf(shape),
  });
  const required = Object.keys(fields).filter((name) => fields[name]!.absent === undefined);
  return {
    type: 'object',
    properties: Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, described(field)])),
    ...(required.length === 0 ? {} : { required }),
    // Keys that are described above fit the names, too, where there are others.
    ...(others === undefined ? {} : { propertyNames: schemaOf(others.names) }),
    additionalProperties: others === undefined ? false : schemaOf(others.of),
  };
}

const kindOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;

/** Whether plain data is valid under `schema` (JSON Schema Validation, draft 2020-12). */
export function isValid(schema: Schema, value: unknown): boolean {
  if (schema.anyOf?.some((each) => isValid(each, value)) === false) return false;
  if (schema.enum?.includes(value as string) === false) return false;
  if (schema.type === 'integer' ? !Number.isInteger(value) : !isOfType(schema.type, value)) return false;
  if (typeof value === 'string') return new RegExp(schema.pattern ?? '').test(value);
  if (typeof value === 'number') return isInRange(schema, value);
  if (Array.isArray(value)) {
    const { items = {}, maxItems = Number.POSITIVE_INFINITY } = schema;
    return value.length <= maxItems && value.every((element) => isValid(items, element));
  }
  return kindOf(value) !== 'object' || areMembersValid(schema, value as object);
}

const isOfType = (type: Schema['type'], value: unknown): boolean =>
  type === undefined || kindOf(value) === type;

function isInRange({ minimum = -Infinity, maximum = Infinity, multipleOf }: Schema, value: number): boolean {
  return value >= minimum && value <= maximum && (multipleOf === undefined || value % multipleOf === 0);
}

function areMembersValid(schema: Schema, value: object): boolean {
  const { properties = {}, required = [], propertyNames = {}, additionalProperties = {} } = schema;
  if (!required.every((name) => Object.hasOwn(value, name))) return false;
  return Object.entries(value).every(([name, member]) => {
    if (!isValid(propertyNames, name)) return false;
    if (Object.hasOwn(properties, name)) return isValid(properties[name]!, member);
    return additionalProperties !== false && isValid(additionalProperties, member);
  });
}
