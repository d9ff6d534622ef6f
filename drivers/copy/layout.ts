/**
 * SQE and registers of the copy accelerator as tables: the one file that device and user driver share. Section
 * numbers are those of SPEC.md.
 */
import { defineLayout } from '../../src/base/layout.js';

/** Section 2. */
export const copySqe = defineLayout('copy SQE', 64, 'drivers/copy/SPEC.md section 2', {
  operation: { at: 0, bits: [0, 7], doc: '1 copy, 2 fill, 3 compare, 4 crc32c' },
  status: { at: 0, bits: [8, 15], doc: 'out: section 4' },
  pattern: { at: 4, bits: [0, 7], doc: 'fill: the byte to store' },
  source: { at: 8, width: 64, doc: 'address of the source' },
  destination: { at: 16, width: 64, doc: 'address of the destination or second operand' },
  bytes: { at: 24, doc: 'length, 0 to 8 MiB' },
  result: { at: 28, doc: 'out: compare: offset of the first difference; crc32c: the checksum' },
  tag: { at: 32, width: 64, doc: 'returned as it came' },
  processed: { at: 40, doc: 'out: bytes handled before the request ended' },
});

/** Section 5: what is kept of a request that was left between two segments. All zero: it has not begun. */
export const copyProgress = defineLayout('copy progress', 12, 'drivers/copy/SPEC.md section 5', {
  version: { at: 0, doc: 'of this layout; 0 = the request has not begun' },
  done: { at: 4, doc: 'bytes handled' },
  crc: { at: 8, doc: 'crc32c: checksum of the bytes handled' },
});
export const PROGRESS_VERSION = 1;

/** Section 5: what is kept between requests. */
export const copyState = defineLayout('copy state', 8, 'drivers/copy/SPEC.md section 5', {
  version: { at: 0, doc: 'of this layout' },
  requests: { at: 4, doc: 'register REQUESTS' },
});
export const STATE_VERSION = 1;

export const copyOperation = { copy: 1, fill: 2, compare: 3, crc32c: 4 } as const;
export type CopyOperation = keyof typeof copyOperation;

/** Section 4. */
export const copyStatus = { DONE: 0, MALFORMED: 1, ACCESS_FAILED: 2 } as const;

/** Section 2: the longest request. */
export const COPY_BYTES_MAX = 8 * 1024 * 1024;

/** First byte of the reserved tail of the SQE. */
export const RESERVED_FROM = 44;

/** Section 6. */
export const copyRegisters = [
  { name: 'ID', at: 0x00, width: 32, access: 'RO', reset: 0x434f5059, doc: '"COPY"' },
  { name: 'VERSION', at: 0x04, width: 32, access: 'RO', reset: 1, doc: 'version of the specification' },
  {
    name: 'REQUESTS',
    at: 0x08,
    width: 32,
    access: 'live',
    reset: 0,
    doc: 'requests executed since power-on',
  },
] as const;
