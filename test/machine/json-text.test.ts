// Where does a text stop being JSON, and is that said before anything of it is believed?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { parseConfigText } from '../../src/machine/config-file.js';
import { mistakeInJson } from '../../src/machine/json-text.js';
import { config } from './config-arbitrary.js';

describe('the text of a configuration', () => {
  it.each<[string, number, number, RegExp]>([
    ['', 1, 1, /a value/],
    ['{', 1, 2, /a key in double quotes/],
    ['{"memory": 5,\n  "chosen": }', 2, 13, /a value.*not "}"/],
    ['{\r\n"memory" 5}', 2, 10, /":"/],
    ['{"a": 1,}', 1, 9, /a key in double quotes/],
    ['[1 2]', 1, 4, /"," or "\]"/],
    ['{"a": "x\ny"}', 1, 9, /a closing quote/],
    ['{"a": "\\x"}', 1, 8, /an escape/],
    ["{'a': 1}", 1, 2, /a key in double quotes/],
    ['// a machine\n{}', 1, 1, /a value/],
    ['{} {}', 1, 4, /the end of the text/],
    ['{"domains": {"web": 1,\n "web": 2}}', 2, 2, /a key that its object does not have yet.*web/],
    ['{"a": 01}', 1, 8, /"," or "}"/],
    ['[tru]', 1, 2, /a value.*tru/],
  ])('%j has its mistake at line %i, column %i', (text, line, column, message) => {
    const mistake = parseConfigText(text)._unsafeUnwrapErr();
    expect(mistake.argument).toBe('configuration');
    expect(mistake.message).toContain(`at line ${line}, column ${column}`);
    expect(mistake.message).toMatch(message);
  });

  it('may begin with a byte order mark', () => {
    expect(parseConfigText('\uFEFF{"memory": 5}')._unsafeUnwrap()).toEqual({ memory: 5 });
  });

  it('has bounds in length and depth', () => {
    const deep = '['.repeat(100_000);
    expect(parseConfigText(deep)._unsafeUnwrapErr().message).toContain(
      `column ${limits.CONFIG_DEPTH_MAX + 1}`,
    );
    const long = ' '.repeat(limits.CONFIG_TEXT_LENGTH_MAX + 1);
    expect(parseConfigText(long)._unsafeUnwrapErr().message).toContain('at most');
    expect(parseConfigText(5 as unknown as string).isErr()).toBe(true);
  });

  it('is accepted if and only if JSON.parse accepts it, but for keys that are there twice', () => {
    const damage = fc.tuple(
      fc.nat(),
      fc.constantFrom('', '"', '\\', ',', '}', ']', '[', '0', 'e', '\n', '\u2028', '\u0001', ' '),
    );
    const texts = fc
      .tuple(
        fc.oneof(fc.json({ maxDepth: 3 }), fc.constant(JSON.stringify(config, null, 2))),
        fc.array(damage, { maxLength: 2 }),
      )
      .map(([text, damages]) =>
        damages.reduce((whole, [where, put]) => {
          const cut = where % (whole.length + 1);
          return whole.slice(0, cut) + put + whole.slice(cut + (put === ' ' ? 0 : 1));
        }, text),
      );
    fc.assert(
      fc.property(fc.oneof(texts, fc.string()), (text) => {
        const mistake = mistakeInJson(text);
        if (mistake?.expected.startsWith('a key that') === true) return;
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        expect(mistake === null).toBe(isJson);
      }),
      { numRuns: 3000 },
    );
  });
});
