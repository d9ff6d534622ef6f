/**
 * The `wd` command when something is wrong: one line that says what and what to do, exit code 1, and no file under
 * the output's name or beside it.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deviceLost } from '../../src/base/errors.js';
import { fileError } from '../../src/cli/cli-error.js';
import { World, type WorldOptions } from './world.js';

const TEXT = Buffer.from('the quick brown fox jumps over the lazy dog\n'.repeat(5000));
const PACKED = gzipSync(TEXT);
const NO_DEVICE = {
  kind: 'NoDevice',
  code: 'ERR_WD_NO_DEVICE',
  message: 'no device is there',
  retryable: false,
} as const;

/** Runs in a world with the file `in`, expects a refusal, and answers its one line. */
async function refusal(
  argv: string[],
  options: WorldOptions = {},
  input: Uint8Array = TEXT,
): Promise<string> {
  const world = new World(options);
  world.write('in', input);
  expect(await world.wd(...argv)).toBe(1);
  expect(world.files).toEqual(['in']);
  expect(world.said).toBe('');
  expect(world.complained).toMatch(/^wd: [^\n]+\n$/);
  expect(world.pool.asked.closed).toBe(options.noMachine === undefined ? world.opened : 0);
  return world.complained;
}

describe('a wrong command line', () => {
  test.each([
    [['in', '--fast'], "unknown option '--fast'"],
    [['in', '--formt', 'zlib'], '(Did you mean --format?)'],
    [['in', 'other'], 'too many arguments'],
    [['in', '--level', '10'], 'a whole number from 0 to 9'],
    [['in', '--level', '-1'], 'a whole number from 0 to 9'],
    [['in', '--level', '6.0'], 'a whole number from 0 to 9'],
    [['in', '--level', ''], 'a whole number from 0 to 9'],
    [['in', '--level'], 'argument missing'],
    [['in', '--format', 'zip'], 'gzip, zlib, deflate'],
    [['in', '-o', ''], 'empty name'],
    [[''], 'empty name'],
    [['-d', 'in', '--level', '3'], 'leave it out'],
    [['-d'], 'needs a FILE'],
  ])('%j', async (argv, expected) => {
    const line = await refusal(argv);
    expect(line).toContain(expected);
    expect(line).toContain('see wd --help');
  });

  test('is any level that is not a digit refused, and any digit taken?', async () => {
    const property = fc.asyncProperty(fc.string(), async (level) => {
      const world = new World();
      world.write('in', 'x');
      expect(await world.wd('in', `--level=${level}`)).toBe(/^[0-9]$/.test(level) ? 0 : 1);
    });
    await fc.assert(property, { numRuns: 100, examples: [['0'], ['9'], ['10'], [' 1'], ['１']] });
  });
});

describe('a wrong file', () => {
  test.each([
    [['missing'], 'cannot read missing: there is no such file; check the name'],
    [['in/below'], 'cannot read in/below: a part of that path is not a directory; check the name'],
    [['.'], 'cannot read .: it is a directory; name a file'],
    [['in', '-o', 'in'], 'cannot write in: it is the input itself; name another file with -o'],
    [['in', '-o', './in'], 'it is the input itself'],
    [['in', '-o', '.'], 'cannot write .: it is a directory; name a file in it'],
    [['in', '-o', 'nowhere/out'], 'there is no directory nowhere; create it first'],
    [['in', '-o', 'x'.repeat(300)], 'the name is too long'],
  ])('%j', async (argv, expected) => {
    expect(await refusal(argv)).toContain(expected);
  });

  test('costs no machine', async () => {
    const world = new World();
    await world.wd('missing');
    expect(world.opened).toBe(0);
  });

  test('that may not be read is named with its remedy', () => {
    const denied = Object.assign(new Error('EACCES'), { code: 'EACCES' });
    expect(fileError(denied, { verb: 'read', path: 'secret' }).message).toBe(
      'cannot read secret: permission denied; change its permissions, or name another file',
    );
  });

  test('whose name has control characters does not command the terminal', async () => {
    expect(await refusal(['a\u001b[2Jb'])).toContain('"a\\u001b[2Jb"');
  });

  test.runIf(existsSync('/dev/full'))('a full disk is said to be full', async () => {
    expect(await refusal(['in', '-o', '/dev/full'])).toContain('no space is left on the device');
  });
});

describe('bad data', () => {
  test.each([
    ['no gzip at all', TEXT, 'incorrect header check (Z_DATA_ERROR)'],
    ['cut off', PACKED.subarray(0, PACKED.length >> 1), 'unexpected end of file'],
    ['empty', Buffer.alloc(0), 'unexpected end of file'],
    ['raw without --format', deflateRawSync(TEXT), 'name its --format'],
  ])('%s', async (_, input, expected) => {
    expect(await refusal(['-d', 'in', '-o', 'out'], {}, input)).toContain(expected);
  });

  test('is a file with any one bit changed either refused or read back as it was?', async () => {
    const small = gzipSync('some text, and some more text');
    const property = fc.asyncProperty(fc.nat(small.length * 8 - 1), async (bit) => {
      const world = new World();
      const input = Buffer.from(small);
      input[bit >> 3]! ^= 1 << (bit & 7);
      world.write('in', input);
      const code = await world.wd('-d', 'in', '-o', 'out', '--format', 'gzip');
      // Header fields that nothing is made of: flags, time, system.
      if (code === 0) expect(world.read('out').toString()).toBe('some text, and some more text');
      else expect(world.files).toEqual(['in']);
    });
    await fc.assert(property, { numRuns: 60 });
  });
});

describe('a wrong result', () => {
  test('one flipped bit: node:zlib does not agree, and no file appears', async () => {
    const line = await refusal(['in', '-o', 'out'], { sabotage: { flips: true } });
    expect(line).toMatch(/the result is wrong: node:zlib .*; do not use it/);
  });

  test('one flipped bit of decompressed data is found too', async () => {
    const line = await refusal(['-d', 'in', '-o', 'out'], { sabotage: { flips: true } }, PACKED);
    expect(line).toContain('node:zlib reads something else');
  });

  test('an existing output keeps its content', async () => {
    const world = new World({ sabotage: { flips: true } });
    world.write('in', TEXT);
    world.write('out', 'precious');
    expect(await world.wd('in', '-o', 'out')).toBe(1);
    expect(world.read('out').toString()).toBe('precious');
    expect(world.files).toEqual(['in', 'out']);
  });

  test('software in the place of the device is a failure', async () => {
    expect(await refusal(['in', '-o', 'out'], { sabotage: { path: 'software' } })).toContain(
      'not by the device',
    );
  });
});

describe('a machine that fails', () => {
  test('cannot be started', async () => {
    expect(await refusal(['in', '-o', 'out'], { noMachine: NO_DEVICE })).toContain('(ERR_WD_NO_DEVICE)');
  });

  test('opens no queue', async () => {
    expect(await refusal(['in', '-o', 'out'], { sabotage: { unready: NO_DEVICE } })).toContain(
      'no device is there',
    );
  });

  test('is lost in the middle', async () => {
    const breaks = deviceLost('zip0', 'unplugged');
    expect(await refusal(['in', '-o', 'out'], { sabotage: { breaks } })).toContain('zip0 was lost');
  });
});

describe('an input that breaks off', () => {
  test('is a failure of the input, not of the library', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield TEXT;
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    }
    const line = await refusal(['-', '-o', 'out'], { stdin: broken() });
    expect(line).toContain('cannot read standard input: the device reported an input or output error');
  });
});

describe('standard output', () => {
  test('compressed data does not go to a terminal', async () => {
    expect(await refusal(['-'], { terminal: true })).toContain('redirect it, or name a file with -o');
  });

  test('a reader that goes away ends it without a word', async () => {
    const world = new World({ stdin: [TEXT], stdoutFails: 'EPIPE' });
    expect(await world.wd('-')).toBe(141);
    expect(world.complained).toBe('');
    expect(world.pool.asked.closed).toBe(1);
  });

  test('a reader that goes away before the report does not undo the work', async () => {
    const world = new World({ stdoutFails: 'EPIPE' });
    world.write('in', TEXT);
    expect(await world.wd('in', '-o', 'out')).toBe(0);
    expect(world.files).toEqual(['in', 'out']);
  });

  test('any other failure is told', async () => {
    const world = new World({ stdin: [TEXT], stdoutFails: 'ENOSPC' });
    expect(await world.wd('-')).toBe(1);
    expect(world.complained).toContain('cannot write standard output: no space is left on the device');
  });
});

describe('signals', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('%s removes what was begun and keeps what was there', async (signal, code) => {
    let during: string[] = [];
    const world: World = new World({
      sabotage: {
        stalls: () => {
          during = world.files;
          world.signals.emit(signal);
        },
      },
    });
    world.write('in', TEXT);
    mkdirSync(join(world.directory, 'sub'));
    writeFileSync(join(world.directory, 'sub', 'out'), 'precious');
    expect(await world.wd('in', '-o', 'out')).toBe(code);
    expect(during.some((name) => name.endsWith('.tmp'))).toBe(true);
    expect(world.files).toEqual(['in', 'sub']);
    expect(world.signals.listenerCount(signal)).toBe(0);
  });

  test('a process that dies of a bug leaves nothing behind either', async () => {
    const left = await new Promise<string[]>((resolve) => {
      const stalls = (): void => {
        world.signals.emit('exit');
        resolve(world.files);
      };
      const world = new World({ sabotage: { stalls } });
      world.write('in', TEXT);
      void world.wd('in', '-o', 'out');
    });
    expect(left).toEqual(['in']);
  });
});
