/**
 * A line on the terminal that shows how far the input has been read. It appears after half a second, is redrawn at
 * most ten times a second, and is gone before anything else is printed. Without a terminal there is none.
 */
import { NS_PER_MS, NS_PER_SECOND } from '../base/units.js';
import { showBytes } from './amounts.js';
import type { CliIo } from './io.js';

const APPEARS_AFTER_MS = 500;
const REDRAWN_AFTER_MS = 100;
const BAR_CELLS = 30;
const MS_PER_SECOND = NS_PER_SECOND / NS_PER_MS;
/** To the first column, and erase to the end of the line. */
const CLEAR = '\r\u001b[K';

export class Progress {
  readonly #io: CliIo;
  readonly #totalBytes: number | null;
  readonly #startMs: number;
  #drawnMs = 0;
  #shown = false;

  constructor(io: CliIo, totalBytes: number | null) {
    this.#io = io;
    this.#totalBytes = totalBytes;
    this.#startMs = io.nowMs();
  }

  /** `bytes` of the input have been read. */
  at(bytes: number): void {
    const { stderr, nowMs } = this.#io;
    if (stderr.isTTY !== true) return;
    const now = nowMs();
    if (now - this.#startMs < APPEARS_AFTER_MS || (this.#shown && now - this.#drawnMs < REDRAWN_AFTER_MS))
      return;
    this.#drawnMs = now;
    this.#shown = true;
    stderr.write(CLEAR + this.#line(bytes, now));
  }

  clear(): void {
    if (this.#shown) this.#io.stderr.write(CLEAR);
    this.#shown = false;
  }

  #line(bytes: number, now: number): string {
    const rate = `${showBytes((bytes / (now - this.#startMs)) * MS_PER_SECOND)}/s`;
    if (this.#totalBytes === null) return `${showBytes(bytes)}  ${rate}`;
    // A file may grow while it is read.
    const share = Math.min(1, bytes / this.#totalBytes);
    const filled = Math.round(share * BAR_CELLS);
    const bar = '#'.repeat(filled).padEnd(BAR_CELLS, '.');
    return `[${bar}] ${Math.floor(share * 100)} %  ${showBytes(bytes)} of ${showBytes(this.#totalBytes)}  ${rate}`;
  }
}
