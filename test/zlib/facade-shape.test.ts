// What if a Node to come has other internals? The classes are Node's then, calls still go to the device, and `via` says so.
import node from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sampleText } from '../lib/library-bench.js';
import { type Facade, openFacade, through } from './facade-bench.js';

const TEXT = sampleText(50_000);

let facade: Facade;
let viaOf: typeof import('../../lib/zlib/provenance.js').viaOf;
beforeAll(async () => {
  // Nobody can look into what its native objects are started with.
  const { _handle } = new node.Deflate() as unknown as { _handle: object };
  Object.freeze(Object.getPrototypeOf(_handle));
  ({ viaOf } = await import('../../lib/zlib/provenance.js'));
  facade = await openFacade();
});
afterAll(() => facade.pool.close());

test('streams and classes are those of Node', async () => {
  const { zlib } = facade;
  expect([zlib.Gzip, zlib.Inflate]).toEqual([node.Gzip, node.Inflate]);
  const stream = zlib.createGzip({ level: 9 });
  expect((await through(stream, TEXT, 5000)).equals(node.gzipSync(TEXT, { level: 9 }))).toBe(true);
  expect(viaOf(stream)).toEqual({
    path: 'software',
    attempts: 1,
    reason: 'the internals of node:zlib have an unknown shape',
  });
});

test('calls go to the device', async () => {
  const packed = await new Promise<Buffer>((resolve, reject) =>
    facade.zlib.gzip(TEXT, (error, result) => (error === null ? resolve(result) : reject(error))),
  );
  expect([packed.equals(node.gzipSync(TEXT)), viaOf(packed)?.path]).toEqual([true, 'device']);
});
