// Does each kind of register do what its table says, and nothing else?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RegisterAccess, RegisterSpec } from '../../src/hw/device-model.js';
import { RegisterFile } from '../../src/hw/register-map.js';

const kinds: readonly RegisterAccess[] = ['RW', 'RO', 'W1C', 'read-clear', 'doorbell', 'live'];
const table: readonly RegisterSpec[] = kinds.map((access, index) => ({
  name: access,
  at: index * 8,
  width: index % 2 === 0 ? 64 : 32,
  access,
  reset: 0xf0 + index,
  doc: access,
}));
const offsetOf = (name: RegisterAccess): number => kinds.indexOf(name) * 8;

function newFile() {
  const rung: [string, number][] = [];
  const file = new RegisterFile(table, {
    live: () => 42,
    doorbell: (name, value) => rung.push([name, value]),
  });
  return { file, rung };
}

/** What a read answers of a register that holds `value`: a doorbell is an event, not a store. */
function readOf(access: RegisterAccess, value: number): number {
  if (access === 'live') return 42;
  return access === 'doorbell' ? 0 : value;
}

describe('registers', () => {
  it('behave as a model of their access kinds says, through any sequence of reads and writes', () => {
    const value = fc.nat(0xffff);
    const step = fc.record({ access: fc.constantFrom(...kinds), write: fc.boolean(), value });
    const property = fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const { file, rung } = newFile();
      const model = new Map(table.map(({ name, reset }) => [name, reset]));
      let doorbells = 0;
      for (const { access, write, value: given } of steps) {
        const before = model.get(access)!;
        if (write) {
          file.write(offsetOf(access), given);
          if (access === 'RW') model.set(access, given);
          if (access === 'W1C') model.set(access, before & ~given);
          if (access === 'doorbell') doorbells += 1;
        } else {
          expect(file.read(offsetOf(access))).toBe(readOf(access, before));
          if (access === 'read-clear') model.set(access, 0);
        }
      }
      expect(rung).toHaveLength(doorbells);
    });
    fc.assert(property);
  });

  it('reset brings every one back, and an unknown offset reads as zero and ignores writes', () => {
    const { file, rung } = newFile();
    for (let at = 0; at < 64; at++) file.write(at, 0xffff);
    file.set('RO', 1);
    file.reset();
    for (const { at, reset, access } of table) expect(file.read(at)).toBe(readOf(access, reset));
    expect([file.read(1), file.read(4096), rung.length]).toEqual([0, 0, 1]);
  });

  it('write one to clear is exact in the high half of a 64-bit register', () => {
    const spec: RegisterSpec = {
      name: 'CAUSE',
      at: 0,
      width: 64,
      access: 'W1C',
      reset: 2 ** 52 + 5,
      doc: '',
    };
    const file = new RegisterFile([spec]);
    file.write(0, 2 ** 52 + 1);
    expect(file.read(0)).toBe(4);
  });

  it('a table with a register off its alignment, or two at one offset, is refused', () => {
    const spec: RegisterSpec = { name: 'A', at: 4, width: 64, access: 'RW', reset: 0, doc: '' };
    expect(() => new RegisterFile([spec])).toThrow('aligned');
    expect(
      () =>
        new RegisterFile([
          { ...spec, at: 8 },
          { ...spec, at: 8, name: 'B' },
        ]),
    ).toThrow('of its own');
    expect(() => new RegisterFile([]).set('A', 1)).toThrow('register');
  });
});
