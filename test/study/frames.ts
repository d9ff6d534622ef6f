/**
 * Frames at 60 Hz on a shared coprocessor: domains that render, one that always has other work, and which frames were
 * missed. A frame is rendered in two bursts (R99), the second one half a frame after the first; it is missed when one of
 * them is not over at its end.
 */
import { NS_PER_MS, NS_PER_SECOND } from '../../src/base/units.js';
import type { Parameters, PolicyModule } from '../../src/coproc/policy.js';
import type { SimStop } from '../../src/coproc/sim-context.js';
import { SharedCoproc, type Sharer } from './shared-coproc.js';

/** Half a frame, whole ns. */
export const HALF_FRAME_NS = Math.floor(NS_PER_SECOND / 120);
export const FRAME_NS = 2 * HALF_FRAME_NS;
/** Rendering takes this long, twice a frame. */
export const RENDER_NS = NS_PER_MS;

/** How domains are told apart for the policy. */
export interface Discipline {
  readonly policy: PolicyModule;
  /** Of the policy. */
  readonly parameters: Parameters;
  /** Of a domain that renders. */
  readonly render: Parameters;
}

export interface FrameCase {
  readonly discipline: Discipline;
  /** How many render. */
  readonly domains: number;
  readonly switchNs: number;
  /** How long the one with other work denies to stop, ns; 0 = it stops at once. */
  readonly denyNs: number;
  readonly frames: number;
}

/** The first frame of any domain that was missed, counted from 1; null = none. */
export function firstMissed({ discipline, domains, switchNs, denyNs, frames }: FrameCase): number | null {
  const { policy, parameters, render } = discipline;
  const load = { kind: 'periodic', periodNs: HALF_FRAME_NS, workNs: RENDER_NS } as const;
  const rendering = Array.from({ length: domains }, (): Sharer => ({ load, parameters: render }));
  const stop: SimStop = denyNs === 0 ? { kind: 'atOnce' } : { kind: 'denies', forNs: denyNs, hintNs: denyNs };
  const other: Sharer = { load: { kind: 'always' }, stop };
  /** Bursts of each frame that were over in time, by domain. */
  const inTime = rendering.map(() => new Array<number>(frames).fill(0));
  const coproc = new SharedCoproc({
    policy,
    parameters,
    sharers: [other, ...rendering],
    switchNs,
    finished: (sharer, arrivedNs, finishedNs) => {
      const frame = Math.floor(arrivedNs / FRAME_NS);
      const bursts = inTime[sharer - 1]!;
      if (frame < frames && finishedNs <= (frame + 1) * FRAME_NS) bursts[frame]! += 1;
    },
  });
  coproc.runFor(frames * FRAME_NS);
  // What was executed up to now is worked out when it is asked for.
  coproc.executedNs();
  const missed = inTime.map((bursts) => bursts.findIndex((count) => count < 2)).filter((at) => at >= 0);
  return missed.length === 0 ? null : Math.min(...missed) + 1;
}
