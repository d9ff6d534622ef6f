// Do the schema and the page about the configuration tell what the machine checks? The tables of docs/configuration.md and
// docs/warpdrive.config.schema.json are made from the shape; to bring them up to date, put in what the failing test expected.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import zip from '../../drivers/zip/index.js';
import { expectationOf, memberPlace, mistakeInShape, type ObjectShape } from '../../src/base/plain-shape.js';
import { checkConfigFile, parseConfigText } from '../../src/machine/config-file.js';
import { configShape } from '../../src/machine/config-shape.js';
import { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import { almost, config, right } from './config-arbitrary.js';
import { known } from './domains-bench.js';
import { isValid, schemaOf } from './json-schema.js';
import { markedPart, table } from './page-parts.js';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const page = read('docs/configuration.md');
const example = /```json\n(.*?)```/s.exec(page)![1]!;

describe('the JSON schema', () => {
  const schema = JSON.parse(read('docs/warpdrive.config.schema.json'));

  it('is the shape that the machine checks', () => {
    expect(schema).toEqual({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: 'warpdrive.config.json',
      ...schemaOf(configShape),
    });
  });

  it('and the machine accept the same', () => {
    const seen = { right: 0, wrong: 0 };
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), almost, right), (data) => {
        const hasShape = mistakeInShape(configShape, data, '') === null;
        seen[hasShape ? 'right' : 'wrong'] += 1;
        expect(isValid(schema, data)).toBe(hasShape);
      }),
      { numRuns: 2000 },
    );
    expect(Math.min(seen.right, seen.wrong)).toBeGreaterThan(100);
  });

  it('accepts what gives a machine, and is shipped', () => {
    for (const data of [{}, config, JSON.parse(example)]) {
      expect(isValid(schema, data)).toBe(true);
      expect(checkConfigFile(data, known).isOk()).toBe(true);
    }
    const { files } = JSON.parse(read('package.json'));
    expect(files).toContain('docs');
  });
});

/** Keys of `shape`, by place: `[]` stands for an index, `NAME` for a name that is not known beforehand. */
function rowsOf({ fields, others }: ObjectShape, place: string): string[][] {
  const known = Object.entries(fields).flatMap(([key, { shape, doc, absent = 'required' }]) => {
    const here = memberPlace(place, key);
    const row = [`\`${here}\``, expectationOf(shape), absent, doc];
    const inner = shape.kind === 'list' ? shape.of : shape;
    const at = shape.kind === 'list' ? `${here}[]` : here;
    return inner.kind === 'object' ? [row, ...rowsOf(inner, at)] : [row];
  });
  const other = others?.of;
  return other?.kind === 'object' ? [...known, ...rowsOf(other, memberPlace(place, 'NAME'))] : known;
}

describe('docs/configuration.md', () => {
  it.each(Object.keys(configShape.fields))('explains %s as the machine checks it', (key) => {
    const fields = { [key]: configShape.fields[key]! };
    const rows = rowsOf({ kind: 'object', fields }, '');
    expect(markedPart(page, `keys: ${key}`)).toBe(table([['key', 'value', 'if absent', 'meaning'], ...rows]));
  });

  it('has an example that gives a machine', () => {
    const data = parseConfigText(example)._unsafeUnwrap();
    const setup = checkConfigFile(data, { ...known, drivers: [zip, copy] })._unsafeUnwrap();
    const machine = InlineMachine.create({ ...setup, drivers: [zip, copy] })._unsafeUnwrap();
    expect(machine.domains.all.map(({ name }) => name)).toEqual(['host', 'web', 'batch']);
    expect(machine.framework.vcoprocsOf(1).map(({ instance }) => instance)).toEqual(['zip0', 'zip1']);
  });

  it('shows errors as they are', () => {
    const shown = [...page.matchAll(/^\| `(\{.*?\})` +\| `(.*?)` +\|$/gm)];
    expect(shown.length).toBeGreaterThan(3);
    for (const [, text, message] of shown) {
      const mistake = parseConfigText(text!).andThen((data) => checkConfigFile(data, known));
      expect(mistake._unsafeUnwrapErr().message).toBe(message);
    }
  });
});
