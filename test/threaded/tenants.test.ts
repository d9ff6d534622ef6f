// Does a tenant get a process, and with `isolation: 'context'` a domain, of its own, and give it back?
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as wd from 'warpdrive';

const text = Buffer.from('To each their own, and none the others.\n'.repeat(2000));
const device = { route: 'device' } as const;

let pool: wd.Pool;
beforeAll(async () => {
  pool = (await wd.open({ engines: 2, memoryBytes: 512 * 2 ** 20 }))._unsafeUnwrap();
});
afterAll(() => pool.close());

async function roundTrip(tenant: Pick<wd.Tenant, 'compress' | 'decompress'>): Promise<wd.WdOutput> {
  const packed = (await tenant.compress(text, device))._unsafeUnwrap();
  expect(gunzipSync(packed.data).equals(text)).toBe(true);
  const unpacked = (await tenant.decompress(packed.data, device))._unsafeUnwrap();
  expect(unpacked.data.equals(text)).toBe(true);
  return packed;
}

describe.each(['queue', 'context'] as const)('a tenant with isolation %s', (isolation) => {
  it('works on devices as a process of its own, beside the pool', async () => {
    const tenant = pool.domain(`one-${isolation}`, { isolation, weight: 2 });
    const { via } = await roundTrip(tenant);
    expect(via.path).toBe('device');
    const [its, own] = [(await tenant.describe())._unsafeUnwrap(), await pool.describe()];
    expect(its.pid).not.toBe(own.pid);
    // In a domain of its own it sees devices of its own.
    expect(its.devices.some((name) => own.devices.includes(name))).toBe(isolation === 'queue');
    await Promise.all([roundTrip(tenant), roundTrip(pool), roundTrip(tenant)]);
    expect((await tenant.close()).isOk()).toBe(true);
    await roundTrip(pool);
  });

  it('is the same one for the same name until it is closed, and closed for good then', async () => {
    const name = `same-${isolation}`;
    const tenant = pool.domain(name, { isolation });
    expect(pool.domain(name)).toBe(tenant);
    await roundTrip(tenant);
    await tenant.close();
    expect((await tenant.compress(text))._unsafeUnwrapErr().kind).toBe('InvalidState');
    const next = pool.domain(name, { isolation });
    expect(next).not.toBe(tenant);
    await roundTrip(next);
    await next.close();
  });
});

describe('a tenant', () => {
  it.each([
    ['isolation', { isolation: 'hope' }],
    ['weight', { weight: 0 }],
    ['weight', { weight: 1.5 }],
    ['weight', { weight: 256 }],
  ])('with a wrong %s answers every call with what is wrong, and harms nobody', async (argument, options) => {
    const tenant = pool.domain(`wrong ${JSON.stringify(options)}`, options as wd.TenantOptions);
    for (let call = 0; call < 2; call++) {
      expect((await tenant.compress(text))._unsafeUnwrapErr()).toMatchObject({
        kind: 'InvalidArgument',
        argument,
      });
    }
    await roundTrip(pool);
  });

  it('that cannot be created, for want of memory, says so and leaves nothing behind', async () => {
    const tenants = Array.from({ length: 12 }, (_, index) =>
      pool.domain(`many-${index}`, { isolation: 'context' }),
    );
    const answers = await Promise.all(tenants.map((tenant) => tenant.compress(text, device)));
    expect(answers.some((answer) => answer.isErr())).toBe(true);
    for (const answer of answers) if (answer.isErr()) expect(answer.error.kind).toBe('InvalidState');
    await Promise.all(tenants.map((tenant) => tenant.close()));
    const again = pool.domain('many-again', { isolation: 'context' });
    await roundTrip(again);
    await again.close();
  });

  it('comes and goes beside others that work: each call has its own answer, and every place is free again', async () => {
    let isOver = false;
    const steady = (async () => {
      while (!isOver) await roundTrip(pool);
    })();
    // More lives than there is room for at once: what one of them left behind would be missing.
    const lives = async (index: number): Promise<void> => {
      for (let life = 0; life < 5; life++) {
        const isolation = index === 0 ? 'queue' : 'context';
        const tenant = pool.domain(`guest-${index}-${life}`, { isolation, weight: 1 + index });
        const own = Buffer.from(`guest ${index}, life ${life}\n`.repeat(2000));
        const answers = await Promise.all(Array.from({ length: 3 }, () => tenant.compress(own, device)));
        for (const answer of answers) expect(gunzipSync(answer._unsafeUnwrap().data).equals(own)).toBe(true);
        expect((await tenant.close()).isOk()).toBe(true);
      }
    };
    await Promise.all([0, 1, 2, 3].map(lives));
    isOver = true;
    await steady;
  });

  it('that was never used needs no closing, and closing the pool closes the rest', async () => {
    const other = (await wd.open({ engines: 1, memoryBytes: 256 * 2 ** 20 }))._unsafeUnwrap();
    other.domain('never used');
    const used = other.domain('used', { isolation: 'context' });
    await roundTrip(used);
    expect((await other.close()).isOk()).toBe(true);
    expect((await used.compress(text))._unsafeUnwrapErr().kind).toBe('InvalidState');
  });
});
