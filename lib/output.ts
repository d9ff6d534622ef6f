/** What a call answers. */
import type { Via } from './via.js';

export interface WdOutput {
  readonly data: Buffer;
  /** What the device, or the software in its place, reported: of the input when encoding. */
  readonly checksum: number;
  readonly via: Via;
}
