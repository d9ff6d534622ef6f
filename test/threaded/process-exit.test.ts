// Does a program that uses the library end as if it did not, and never too early?
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { runProgram } from './threaded-bench.js';

const RIGHT = { code: 0, signal: null, stderr: '' };

test('a program that compresses and does nothing else prints its result and ends by itself', async () => {
  const ended = await runProgram(`
    import * as wd from 'warpdrive';
    const { data, via } = (await wd.compress('x'.repeat(10_000)))._unsafeUnwrap();
    console.log(via.path, data.toString('base64'));
  `);
  expect(ended).toMatchObject(RIGHT);
  const [path, data] = ended.stdout.trim().split(' ');
  expect([path, gunzipSync(Buffer.from(data!, 'base64')).toString()]).toEqual(['device', 'x'.repeat(10_000)]);
});

test('a program cannot end while a request is in flight, awaited or not', async () => {
  const ended = await runProgram(`
    import * as wd from 'warpdrive';
    for (let i = 0; i < 20; i++) wd.compress('y'.repeat(100_000)).then((result) => console.log(i, result.isOk()));
  `);
  expect(ended).toMatchObject(RIGHT);
  expect(ended.stdout.trim().split('\n').sort()).toEqual(
    Array.from({ length: 20 }, (_, i) => `${i} true`).sort(),
  );
});

test('a program with a pool that it never closes ends, also after a pause', async () => {
  const ended = await runProgram(`
    import { open } from 'warpdrive';
    import { setTimeout } from 'node:timers/promises';
    const pool = (await open({ engines: 2 }))._unsafeUnwrap();
    const run = async () => (await pool.compress('z'.repeat(5000), { route: 'device' })).isOk();
    console.log(await run());
    await setTimeout(100);
    console.log(await run());
  `);
  expect(ended).toMatchObject({ ...RIGHT, stdout: 'true\ntrue\n' });
});

test('a program that closes its pool ends', async () => {
  const ended = await runProgram(`
    import * as wd from 'warpdrive';
    const pool = (await wd.open())._unsafeUnwrap();
    const call = pool.compress(Buffer.alloc(3_000_000, 'abc'));
    console.log((await pool.close()).isOk(), (await call).isOk());
    await wd.close();
  `);
  expect(ended).toMatchObject({ ...RIGHT, stdout: 'true true\n' });
});

test('a program that throws with a request in flight ends with its own error', async () => {
  const ended = await runProgram(`
    import * as wd from 'warpdrive';
    await wd.compress('a'.repeat(1000));
    wd.compress('b'.repeat(1_000_000));
    throw new Error('of the program itself');
  `);
  expect([ended.code, ended.signal]).toEqual([1, null]);
  expect(ended.stderr).toContain('of the program itself');
});

test('a program whose machine cannot start is told why, and ends', async () => {
  const ended = await runProgram(`
    import { open } from 'warpdrive';
    const refused = await open({ memoryBytes: 1 });
    console.log(refused.error.kind, refused.error.argument);
  `);
  expect(ended).toMatchObject({ ...RIGHT, stdout: 'InvalidArgument memoryBytes\n' });
});

test('CommonJS: require gives the same library', async () => {
  const program = `
    const wd = require('warpdrive');
    wd.compress('c'.repeat(2000)).then(async (result) => {
      const back = await wd.decompress(result._unsafeUnwrap().data);
      console.log(back._unsafeUnwrap().data.length, typeof wd.open);
    });
  `;
  const ended = await runProgram(program, ['--no-warnings', '--input-type=commonjs']);
  expect(ended).toMatchObject({ ...RIGHT, stdout: '2000 function\n' });
});
