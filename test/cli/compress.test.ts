/**
 * The `wd` command when all goes well: what is written, what is said, and to which stream.
 */
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { World } from './world.js';

const TEXT = Buffer.from('the quick brown fox jumps over the lazy dog\n'.repeat(5000));
const READERS = { gzip: gunzipSync, zlib: inflateSync, deflate: inflateRawSync };
const WRITERS = { gzip: gzipSync, zlib: deflateSync, deflate: deflateRawSync };
const formats = fc.constantFrom('gzip', 'zlib', 'deflate') as fc.Arbitrary<keyof typeof READERS>;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('a file', () => {
  test('does any decoder read what any input became, and does it come back?', async () => {
    const property = fc.asyncProperty(
      fc.uint8Array({ maxLength: 3000 }),
      formats,
      fc.integer({ min: 0, max: 9 }),
      async (input, format, level) => {
        const world = new World();
        world.write('in', input);
        const flags = ['--format', format];
        expect(await world.wd('in', '-o', 'packed', '--level', String(level), ...flags)).toBe(0);
        expect(READERS[format](world.read('packed')).equals(input)).toBe(true);
        expect(await world.wd('-d', 'packed', '-o', 'back', ...flags)).toBe(0);
        expect(world.read('back').equals(input)).toBe(true);
        expect(world.files).toEqual(['back', 'in', 'packed']);
      },
    );
    await fc.assert(property, { numRuns: 25 });
  });

  test('is an input of many pieces read whole?', async () => {
    const world = new World();
    const large = Buffer.alloc(5_000_000, TEXT);
    world.write('in', large);
    expect(await world.wd('in', '-o', 'out')).toBe(0);
    expect(sha256(gunzipSync(world.read('out')))).toBe(sha256(large));
  });

  test('without -o it is measured and verified, and nothing is written', async () => {
    const world = new World();
    world.write('in', TEXT);
    expect(await world.wd('in')).toBe(0);
    expect(world.files).toEqual(['in']);
    expect(world.said).toContain('identical');
    expect(world.complained).toBe('');
  });

  test('without FILE it compresses source text that a checkout has', async () => {
    const world = new World();
    expect(await world.wd('--json')).toBe(0);
    expect(JSON.parse(world.said).inputBytes).toBeGreaterThan(1024 * 1024);
  });

  test('asks for the device, with the options in the words of the library', async () => {
    const world = new World();
    world.write('in', TEXT);
    await world.wd('in', '--format', 'zlib', '--level', '9');
    expect(world.pool.asked.streams).toEqual([{ route: 'device', format: 'deflate', level: 9 }]);
    expect(world.pool.asked.closed).toBe(1);
  });

  test('an existing output is replaced with its permissions, through a symbolic link', async () => {
    const world = new World();
    world.write('in', TEXT);
    world.write('target', 'old');
    chmodSync(join(world.directory, 'target'), 0o640);
    symlinkSync('target', join(world.directory, 'link'));
    expect(await world.wd('in', '-o', 'link')).toBe(0);
    expect(lstatSync(join(world.directory, 'link')).isSymbolicLink()).toBe(true);
    expect(statSync(join(world.directory, 'target')).mode & 0o777).toBe(0o640);
    expect(gunzipSync(world.read('target')).equals(TEXT)).toBe(true);
  });

  test.runIf(process.platform !== 'win32')('/dev/null is written to, not replaced', async () => {
    const world = new World();
    world.write('in', TEXT);
    expect(await world.wd('in', '-o', '/dev/null')).toBe(0);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });
});

describe('pipes', () => {
  test('standard input goes to standard output, the report to standard error', async () => {
    const world = new World({ stdin: [TEXT.subarray(0, 7), TEXT.subarray(7)] });
    expect(await world.wd('-', '--json')).toBe(0);
    expect(gunzipSync(world.stdout.bytes).equals(TEXT)).toBe(true);
    expect(JSON.parse(world.complained).inputBytes).toBe(TEXT.length);
  });

  test('an empty standard input is an empty member', async () => {
    const world = new World();
    expect(await world.wd('-')).toBe(0);
    expect(gunzipSync(world.stdout.bytes)).toHaveLength(0);
  });

  test('a file goes to standard output on demand, and standard input into a file', async () => {
    const out = new World();
    out.write('in', TEXT);
    expect(await out.wd('in', '-o', '-')).toBe(0);
    expect(gunzipSync(out.stdout.bytes).equals(TEXT)).toBe(true);
    const into = new World({ stdin: [TEXT] });
    expect(await into.wd('-', '-o', 'out')).toBe(0);
    expect(gunzipSync(into.read('out')).equals(TEXT)).toBe(true);
  });
});

describe('decompression', () => {
  test.each(['gzip', 'zlib'] as const)('recognizes %s by its first bytes', async (format) => {
    const world = new World();
    world.write('packed', WRITERS[format](TEXT));
    expect(await world.wd('-d', 'packed', '-o', 'back', '--json')).toBe(0);
    expect(world.read('back').equals(TEXT)).toBe(true);
    expect(JSON.parse(world.said)).toMatchObject({
      operation: 'decompress',
      level: null,
      outputBytes: TEXT.length,
    });
  });

  test('are several members, and padding after the last one, read as node:zlib reads them?', async () => {
    const world = new World();
    const padding = Buffer.alloc(2_000_000);
    world.write('packed', Buffer.concat([gzipSync(TEXT), gzipSync('more'), padding]));
    expect(await world.wd('-d', 'packed', '-o', 'back')).toBe(0);
    expect(world.read('back').equals(Buffer.concat([TEXT, Buffer.from('more')]))).toBe(true);
  });
});

describe('the report', () => {
  test('as JSON is one object with the units in its keys', async () => {
    const world = new World({ msPerLook: 250 });
    world.write('in', TEXT);
    expect(await world.wd('in', '-o', 'out', '--json')).toBe(0);
    const report = JSON.parse(world.said);
    const outputBytes = world.read('out').length;
    expect(report).toEqual({
      schemaVersion: 1,
      operation: 'compress',
      format: 'gzip',
      level: 6,
      input: 'in',
      output: 'out',
      inputBytes: TEXT.length,
      outputBytes,
      compressionRatio: TEXT.length / outputBytes,
      elapsedMs: report.elapsedMs,
      throughputBytesPerSecond: Math.round(TEXT.length / (report.elapsedMs / 1000)),
      pid: 42,
      pasid: 7,
      devices: ['zip0'],
      queues: [{ device: 'zip0', queue: 3, requests: report.queues[0].requests }],
      // R107: opening the queues took system calls, moving the data none.
      countersWhileDataMoved: { syscalls: 0, pageRequests: 0, wakeups: 0, ticks: 0 },
      uncompressedSha256: sha256(TEXT),
      verified: true,
    });
    expect(world.said.trimEnd().split('\n')).toHaveLength(1);
  });

  test('for a person names sizes, device, queue, PASID, counters, speed and the second opinion', async () => {
    const world = new World({ msPerLook: 250 });
    world.write('in', TEXT);
    await world.wd('in');
    for (const part of [
      '215 KiB',
      ': 1',
      'zip0 queue 3',
      'PASID 7',
      '0 syscalls',
      '0 wakeups',
      '0 page requests',
      '0 ticks',
      '/s',
      'identical',
    ]) {
      expect(world.said).toContain(part);
    }
    expect(world.said).not.toContain('\u001b');
  });

  test('a terminal sees how far a long input has come, and nothing of it afterwards', async () => {
    const world = new World({ terminal: true, msPerLook: 300 });
    world.write('in', Buffer.alloc(3_000_000, TEXT));
    await world.wd('in');
    expect(world.complained).toMatch(/\[#+\.*\] \d+ % {2}.* of 2\.86 MiB/);
    expect(world.complained.endsWith('\r\u001b[K')).toBe(true);
  });

  test('a short input shows no progress, and a pipe never does', async () => {
    const quick = new World({ terminal: true });
    quick.write('in', TEXT);
    await quick.wd('in');
    const piped = new World({ msPerLook: 1000 });
    piped.write('in', TEXT);
    await piped.wd('in');
    expect([quick.complained, piped.complained]).toEqual(['', '']);
  });
});

test('--help says how to call it and --version which one it is', async () => {
  const world = new World();
  expect(await world.wd('--help')).toBe(0);
  expect(world.said).toContain('Usage: wd [options] [file]');
  const other = new World();
  expect(await other.wd('--version')).toBe(0);
  expect(other.said).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(world.opened + other.opened).toBe(0);
});
