/**
 * The memory that cases are replayed in: one buffer for all of them, of which only the pages that a case touched
 * are cleared. It knows which dwords the IOMMU wrote, and what software had put there.
 */
import type { MemoryView } from '../../src/hw/memory-view.js';
import type { MemoryWrite } from './format.js';

const PAGE = 4096;

export class VectorMemory implements MemoryView {
  readonly bytes: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #touched = new Set<number>();
  /** Dwords that the IOMMU wrote, with the value that software gave them. */
  readonly #written = new Map<number, bigint>();

  constructor(bytes: number) {
    this.bytes = bytes;
    this.#bytes = new Uint8Array(bytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** All zero again. */
  clear(): void {
    for (const page of this.#touched) this.#bytes.fill(0, page * PAGE, (page + 1) * PAGE);
    this.#touched.clear();
    this.#written.clear();
  }

  load32(address: number): number {
    return this.#view.getUint32(address, true);
  }

  store32(address: number, value: number): void {
    const dword = address - (address % 8);
    if (!this.#written.has(dword)) this.#written.set(dword, this.dword(dword));
    this.#touched.add(Math.floor(address / PAGE));
    this.#view.setUint32(address, value, true);
  }

  compareExchange32(address: number, expected: number, next: number): number {
    const found = this.load32(address);
    if (found === expected) this.store32(address, next);
    return found;
  }

  /** The aligned dword at `address`. */
  dword(address: number): bigint {
    return this.#view.getBigUint64(address, true);
  }

  /** Software stores `bytes` (hex) at `address` (hex). */
  poke([address, bytes]: MemoryWrite): void {
    const start = Number(address);
    const content = Buffer.from(bytes, 'hex');
    this.#bytes.set(content, start);
    for (let at = start - (start % 8); at < start + content.length; at += 8) {
      this.#touched.add(Math.floor(at / PAGE));
      this.#written.delete(at);
    }
  }

  /** Dwords that the IOMMU changed and software did not store to since, except those inside `excluded` ranges. */
  changedDwords(excluded: readonly { start: number; end: number }[]): number[] {
    const isExcluded = (at: number) => excluded.some(({ start, end }) => at >= start && at < end);
    return [...this.#written]
      .filter(([at, before]) => !isExcluded(at) && this.dword(at) !== before)
      .map(([at]) => at);
  }
}
