/**
 * Free frames of one process, as runs of neighbours: sorted by address, merged where they touch. The search is first
 * fit, over a handful of runs.
 */
import { assert } from '../base/assert.js';
import { alignUp, PAGE_BYTES } from '../base/units.js';

interface Run {
  gpa: number;
  frames: number;
}

export class FrameRuns {
  readonly #runs: Run[] = [];
  #frames = 0;

  /** Frames in all runs together. */
  get frames(): number {
    return this.#frames;
  }

  /** Takes `frames` contiguous frames, the first aligned to `alignFrames`; null when no run holds them. */
  take(frames: number, alignFrames: number): number | null {
    for (const [index, run] of this.#runs.entries()) {
      const gpa = alignUp(run.gpa, alignFrames * PAGE_BYTES);
      const skipped = (gpa - run.gpa) / PAGE_BYTES;
      if (skipped + frames > run.frames) continue;
      const after = { gpa: gpa + frames * PAGE_BYTES, frames: run.frames - skipped - frames };
      const rest = [{ gpa: run.gpa, frames: skipped }, after].filter((piece) => piece.frames > 0);
      this.#runs.splice(index, 1, ...rest);
      this.#frames -= frames;
      return gpa;
    }
    return null;
  }

  /** Adds frames that are in no run. */
  add(gpa: number, frames: number): void {
    const found = this.#runs.findIndex((run) => run.gpa > gpa);
    const index = found < 0 ? this.#runs.length : found;
    const before = this.#runs[index - 1];
    assert(before === undefined || endOf(before) <= gpa, 'frames are added once');
    this.#runs.splice(index, 0, { gpa, frames });
    this.#frames += frames;
    this.#mergeAt(index);
    if (index > 0) this.#mergeAt(index - 1);
  }

  /** Takes everything out. */
  drain(): readonly Readonly<Run>[] {
    this.#frames = 0;
    return this.#runs.splice(0);
  }

  #mergeAt(index: number): void {
    const [run, next] = [this.#runs[index], this.#runs[index + 1]];
    if (run === undefined || next === undefined || endOf(run) !== next.gpa) return;
    run.frames += next.frames;
    this.#runs.splice(index + 1, 1);
  }
}

function endOf(run: Run): number {
  return run.gpa + run.frames * PAGE_BYTES;
}
