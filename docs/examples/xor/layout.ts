/** The XOR accelerator's SQE and registers: what device and user driver have to agree on, and nothing else. */
import { defineLayout } from 'warpdrive/driver';

export const xorSqe = defineLayout('XOR SQE', 64, 'this example', {
  key: { at: 0, bits: [0, 7], doc: 'combined with every byte' },
  status: { at: 0, bits: [8, 15], doc: 'out: 0 done, 1 too long, 2 a memory access failed' },
  bytes: { at: 4, doc: 'length, 0 to 1 MiB' },
  source: { at: 8, width: 64, doc: 'address of the input' },
  destination: { at: 16, width: 64, doc: 'address of the output, as long as the input' },
  tag: { at: 24, doc: 'returned as it came' },
});

export const xorStatus = { DONE: 0, TOO_LONG: 1, ACCESS_FAILED: 2 } as const;
export const XOR_BYTES_MAX = 1024 * 1024;

export const xorRegisters = [
  { name: 'ID', at: 0, width: 32, access: 'RO', reset: 0x584f5221, doc: '"XOR!"' },
] as const;
