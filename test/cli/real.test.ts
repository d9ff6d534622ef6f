// Does the built `wd` command do the right thing with real files, pipes and mistakes?
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomBytes, sampleText } from '../lib/library-bench.js';

const WD = fileURLToPath(new URL('../../dist/src/entry/wd.js', import.meta.url));
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'wd-real-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs the command in the directory of the test. */
function wd(argv: readonly string[], stdin: Uint8Array = new Uint8Array(0)): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [WD, ...argv], { cwd: directory, timeout: 60_000 });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
    child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
    child.on('close', (code) =>
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    );
  });
}

const write = (name: string, content: Uint8Array): void => writeFileSync(join(directory, name), content);
const read = (name: string): Buffer => readFileSync(join(directory, name));

const DECODERS = { gzip: zlib.gunzipSync, zlib: zlib.inflateSync, deflate: zlib.inflateRawSync };
const INPUTS: readonly [string, Buffer][] = [
  ['empty', Buffer.alloc(0)],
  ['one-byte', Buffer.of(0x2a)],
  ['random', randomBytes(1024 * 1024)],
  ['text', sampleText(20_000_000)],
];

describe.each(INPUTS)('a file that is %s', (name, content) => {
  beforeAll(() => write(name, content));

  test.each(['gzip', 'zlib', 'deflate'] as const)('to %s and back', async (format) => {
    const packed = `${name}.${format}`;
    const there = await wd([name, '-o', packed, '--format', format, '--level', '1']);
    expect(there).toMatchObject({ code: 0, stderr: '' });
    expect(DECODERS[format](read(packed)).equals(content)).toBe(true);
    const back = await wd([
      '-d',
      packed,
      '-o',
      `${packed}.back`,
      ...(format === 'deflate' ? ['--format', format] : []),
    ]);
    expect(back).toMatchObject({ code: 0, stderr: '' });
    expect(read(`${packed}.back`).equals(content)).toBe(true);
  });

  test('--json says what was done, on the device, without the kernel (C10)', async () => {
    const { code, stdout, stderr } = await wd([name, '--json', '--level', '1']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.toString().trimEnd()).not.toContain('\n');
    const report = JSON.parse(stdout.toString());
    expect(report).toMatchObject({
      schemaVersion: 1,
      operation: 'compress',
      format: 'gzip',
      level: 1,
      input: name,
      output: null,
      inputBytes: content.length,
      countersWhileDataMoved: { syscalls: 0, pageRequests: 0, wakeups: 0, ticks: 0 },
      uncompressedSha256: createHash('sha256').update(content).digest('hex'),
      verified: true,
    });
    const requests = report.queues.reduce(
      (sum: number, queue: { requests: number }) => sum + queue.requests,
      0,
    );
    expect(requests).toBe(Math.ceil(content.length / (512 * 1024)));
  });
});

describe('pipes', () => {
  test('from standard input to standard output; the report goes to standard error', async () => {
    const content = sampleText(700_000);
    const packed = await wd(['-'], content);
    expect(packed.code).toBe(0);
    expect(packed.stderr).toContain('verified');
    expect(zlib.gunzipSync(packed.stdout).equals(content)).toBe(true);
    const back = await wd(['-d', '-'], packed.stdout);
    expect([back.code, back.stdout.equals(content)]).toEqual([0, true]);
  });

  test('what the command wrote and what node:zlib wrote are one input: members follow one another', async () => {
    const { stdout } = await wd(['-'], Buffer.from('first '));
    const both = Buffer.concat([stdout, zlib.gzipSync('second')]);
    expect((await wd(['-d', '-'], both)).stdout.toString()).toBe('first second');
  });
});

test('without a file it compresses a sample of its own', async () => {
  const { code, stdout } = await wd(['--json']);
  expect([code, JSON.parse(stdout.toString()).verified]).toEqual([0, true]);
});

describe('mistakes end with 1, one line on standard error, and no output file', () => {
  const packed = zlib.gzipSync(sampleText(300_000));
  const corrupt = Buffer.from(packed);
  corrupt[packed.length >> 1]! ^= 0x40;

  beforeAll(() => {
    write('corrupt.gz', corrupt);
    write('short.gz', packed.subarray(0, 1000));
    write('text.gz', Buffer.from('this is no archive'));
    write('there', Buffer.from('x'));
    mkdirSync(join(directory, 'folder'));
  });

  test.each([
    [
      'corrupt data',
      ['-d', 'corrupt.gz', '-o', 'out'],
      /^wd: cannot decompress corrupt\.gz: .+ \(Z_DATA_ERROR\)/,
    ],
    [
      'half a file',
      ['-d', 'short.gz', '-o', 'out'],
      /^wd: cannot decompress short\.gz: unexpected end of file/,
    ],
    ['no archive', ['-d', 'text.gz', '-o', 'out'], /^wd: cannot decompress text\.gz: incorrect header check/],
    ['no such file', ['missing', '-o', 'out'], /^wd: cannot read missing: there is no such file/],
    ['a directory', ['folder', '-o', 'out'], /^wd: cannot read folder: it is a directory/],
    ['a directory as output', ['there', '-o', 'folder'], /^wd: cannot write folder: it is a directory/],
    [
      'an output beside nothing',
      ['there', '-o', 'nowhere/out'],
      /^wd: cannot write nowhere\/out: .*no directory/,
    ],
    ['the input as output', ['there', '-o', 'there'], /^wd: cannot write there: it is the input itself/],
    ['a wrong level', ['there', '--level', '10'], /^wd: .*level.* 0 to 9/],
    ['a wrong format', ['there', '--format', 'zip'], /^wd: .*format.*gzip, zlib, deflate/],
    ['an unknown option', ['there', '--fast'], /^wd: unknown option '--fast'/],
  ])('%s', async (_what, argv, line) => {
    const before = readdirSync(directory).sort();
    const { code, stdout, stderr } = await wd(argv);
    expect([code, stdout.length]).toEqual([1, 0]);
    expect(stderr).toMatch(line);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect(readdirSync(directory).sort()).toEqual(before);
    expect(read('there').toString()).toBe('x');
  });

  test('a file that is there already survives a failure, and is replaced by a success', async () => {
    write('kept', Buffer.from('old content'));
    expect((await wd(['-d', 'corrupt.gz', '-o', 'kept'])).code).toBe(1);
    expect(read('kept').toString()).toBe('old content');
    expect((await wd(['there', '-o', 'kept'])).code).toBe(0);
    expect(zlib.gunzipSync(read('kept')).toString()).toBe('x');
  });
});

test.each([['--help'], ['--version']])('%s answers on standard output with code 0', async (flag) => {
  const { code, stdout, stderr } = await wd([flag]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout.length).toBeGreaterThan(3);
});
