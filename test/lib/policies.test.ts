// What a request does when every device is busy, and when an output does not stand its check: as the caller asked?
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { zipDevice } from '../../drivers/zip/device.js';
import zip from '../../drivers/zip/index.js';
import { zipSqe } from '../../drivers/zip/layout.js';
import type { Dma, SqeRequest } from '../../src/driver-api.js';
import { readAddress } from '../../src/driver-api.js';
import type { MachineDriver } from '../../src/entry/sim.js';
import { openLibrary, openMachine, sampleText } from './library-bench.js';

const text = sampleText(60_000);

describe('whenBusy', () => {
  async function flood(whenBusy: 'wait' | 'software' | 'fail', route: 'auto' | 'device' = 'auto') {
    const { pool } = await openLibrary();
    await pool.ready({ op: 'compress' });
    const results = await Promise.all(
      Array.from({ length: 60 }, () => pool.compress(text, { whenBusy, route, level: 9 })),
    );
    const explained = pool.explain({ op: 'compress', bytes: text.length, whenBusy })._unsafeUnwrap();
    await pool.close();
    return { results, explained };
  }

  test('wait: all by the device', async () => {
    const { results } = await flood('wait');
    expect(results.every((result) => result._unsafeUnwrap().via.path === 'device')).toBe(true);
  });

  test('software: what cannot start now, with the reason; explain says so beforehand', async () => {
    const { results } = await flood('software');
    const paths = results.map((result) => result._unsafeUnwrap().via);
    expect(paths.filter(({ path }) => path === 'device').length).toBeGreaterThan(0);
    const software = paths.filter(({ path }) => path === 'software');
    expect(software.length).toBeGreaterThan(0);
    for (const { reason } of software) expect(reason).toBe('every device is busy');
    for (const result of results) expect(gunzipSync(result._unsafeUnwrap().data).equals(text)).toBe(true);
  });

  test.each(['fail', 'software'] as const)(
    '%s, device only: Busy, with a guess of when, and nothing else carries one',
    async (whenBusy) => {
      const { results } = await flood(whenBusy, 'device');
      const refused = results.flatMap((result) => (result.isErr() ? [result.error] : []));
      expect(refused.length).toBeGreaterThan(0);
      for (const error of refused) {
        expect(error).toMatchObject({ kind: 'Busy', retryable: true });
        expect(error.kind === 'Busy' && error.retryAfterMs).toBeGreaterThanOrEqual(1);
      }
    },
  );
});

describe('verify', () => {
  const outputAt = zipSqe.fields.destination;
  /** Compresses, and then changes a byte of what it made. */
  const liar: MachineDriver = {
    ...zip,
    device: {
      ...zipDevice,
      create: () => {
        const honest = zipDevice.create({ interrupt: () => {} });
        return Object.assign(Object.create(honest) as typeof honest, {
          *execute(request: SqeRequest, dma: Dma) {
            yield* honest.execute(request, dma);
            yield* dma.write(Number(readAddress(outputAt, request.sqe, 0)) + 5, Uint8Array.of(0xee));
          },
          requestBytes: (request: SqeRequest) => honest.requestBytes(request),
          costNs: () => 1000,
          reset: () => honest.reset(),
          queueStopped: (owner: number) => honest.queueStopped(owner),
        });
      },
    },
  };

  test.each([
    ['one request', text, {}],
    ['blocks', sampleText(2_000_000), {}],
    ['a stream', sampleText(8_000_000), { split: false }],
  ])('finds a device that lies, makes it good in software and counts it (%s)', async (_what, input, more) => {
    const { pool } = await openMachine({ drivers: [liar], instances: [{ id: 'zip0', driver: 'zip' }] });
    const output = (await pool.compress(input, { verify: true, ...more }))._unsafeUnwrap();
    expect(gunzipSync(output.data).equals(input)).toBe(true);
    expect(output.via).toMatchObject({
      path: 'software',
      reason: "the device's output did not stand the check",
    });
    expect(pool.stats()).toMatchObject({ verified: 1, mismatches: 1 });
    const believed = (await pool.compress(text))._unsafeUnwrap();
    expect(() => gunzipSync(believed.data)).toThrow();
    await pool.close();
  });

  test('lets an honest one pass, in both directions, empty input too', async () => {
    const { pool } = await openLibrary();
    for (const input of [Buffer.alloc(0), text]) {
      const packed = (await pool.compress(input, { verify: true, route: 'device' }))._unsafeUnwrap();
      expect(packed.via.path).toBe('device');
      const unpacked = (
        await pool.decompress(packed.data, { verify: true, route: 'device' })
      )._unsafeUnwrap();
      expect(unpacked.data.equals(input)).toBe(true);
      expect(unpacked.via.path).toBe('device');
    }
    expect(pool.stats()).toMatchObject({ verified: 4, mismatches: 0 });
    await pool.close();
  });

  test('where it cannot be had, is refused and not ignored', async () => {
    const { pool } = await openLibrary();
    expect(pool.session({ op: 'copy', verify: true })._unsafeUnwrapErr()).toMatchObject({
      argument: 'verify',
    });
    expect(pool.caps().operations.find(({ operation }) => operation === 'copy')?.verifies).toBe(false);
    await pool.close();
  });
});
