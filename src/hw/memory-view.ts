/**
 * What a page-table walker sees of memory: 32-bit words at byte addresses. The machine's physical memory is one
 * implementation; a test that replays recorded cases brings its own.
 *
 * Addresses are physical. A caller compares them with `bytes` before it loads or stores: an access outside is the
 * caller's access fault.
 */
export interface MemoryView {
  /** Bytes of memory, whole pages of 4 KiB and less than 4 GiB; valid addresses are [0, bytes). */
  readonly bytes: number;
  /** The aligned little-endian word at `address`, unsigned. */
  load32(address: number): number;
  /** Stores an aligned word with sequentially consistent order. */
  store32(address: number, value: number): void;
  /** Stores `next` if the word still is `expected`; answers the word that was there, unsigned. */
  compareExchange32(address: number, expected: number, next: number): number;
}
