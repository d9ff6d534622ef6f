// A driver from outside the tree on a machine of its own: no file of warpdrive knows the XOR accelerator.
import { Machine, openPool } from 'warpdrive/sim';
import xor from './xor/index.js';

const machine = Machine.create({ drivers: [xor] })._unsafeUnwrap();
const pool = (await openPool(machine, [xor]))._unsafeUnwrap();
const session = pool.session({ op: 'xor', key: 0x20, route: 'device' })._unsafeUnwrap();

const once = (await session.run('HelloHardware'))._unsafeUnwrap();
console.log(`${once.data} (from ${once.via.device})`);
const twice = (await session.run(once.data))._unsafeUnwrap();
console.log(`${twice.data}`);

const wrong = pool.session({ op: 'xor', key: 256 });
console.log(wrong.isErr() ? wrong.error.message : 'a key of 256 was taken');
console.log(`system calls per request: ${await callsFor(100)}`);
await pool.close();

async function callsFor(requests: number): Promise<number> {
  const before = pool.counters().syscalls;
  for (let i = 0; i < requests; i++) (await session.run(`request ${i}`))._unsafeUnwrap();
  return (pool.counters().syscalls - before) / requests;
}
