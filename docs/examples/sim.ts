// One machine from one seed: the same calls give the same trace, to the nanosecond of its virtual clock.
import copy from 'warpdrive/drivers/copy';
import { Machine, openPool } from 'warpdrive/sim';

async function traceOf(seed: number): Promise<string[]> {
  const machine = Machine.create({ drivers: [copy], seed })._unsafeUnwrap();
  const pool = (await openPool(machine, [copy]))._unsafeUnwrap();
  const session = pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
  const { data, via } = (await session.run('the same bytes again'))._unsafeUnwrap();
  console.log(`seed ${seed}: "${data}" from ${via.device} at ${machine.nowNs} ns`);
  const trace = machine.trace();
  await pool.close();
  return trace;
}

const [first, again, other] = [await traceOf(1), await traceOf(1), await traceOf(2)];
console.log(first.join() === again.join() ? 'the same seed, the same trace' : 'the trace differs');
console.log(first.join() === other.join() ? 'another seed, the same trace' : 'another seed, another trace');
console.log(first.slice(-5).join('\n'));
