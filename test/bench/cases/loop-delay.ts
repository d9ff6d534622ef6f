/** How late the event loop gets while both cores compress: buffers of 1 MiB, level 6, eight in flight. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { zlibAsync } from '../baselines/zlib.js';
import { type BenchCase, contest, ifSubject, partOf } from '../case.js';
import { type AsyncCodec, requesterOf, textInputs } from '../codec.js';
import type { Contestant } from '../harness.js';
import { driveFor, throughputOf } from '../load.js';
import { compare, type Target } from '../report.js';
import { subjectCodec } from '../subject.js';

const DEPTH = 8;
const PLAIN_BYTES = 1024 * 1024;
/** A p99 of a delay sampled every millisecond or two needs a second at least. */
const SAMPLE_MS = 1500;
const twoMilliseconds: Target = { on: 'value', relation: '<=', limit: 2 };

/** Event-loop delay, p99 in ms, while `busy` goes on; the sampling interval of 1 ms is part of it. */
async function delayDuring(busy: () => Promise<unknown>): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await busy();
  histogram.disable();
  return histogram.percentile(99) / 1e6;
}

const idle = (sampleMs: number): Contestant => ({
  name: 'idle',
  measure: () => delayDuring(() => delay(sampleMs)),
  close: async () => {},
});

/** The event-loop case. */
export const loopDelayCase: BenchCase = {
  group: 'loop-delay',
  title: 'event-loop delay p99 while both cores compress',
  limitedBy:
    'Two engine threads and the program on two cores: the kernel of the host decides who runs. The sampling interval of 1 ms is part of the figure.',
  rows: async (context) => {
    const sampleMs = partOf(context, SAMPLE_MS);
    const operation = { direction: 'deflate', level: 6 } as const;
    const { inputs, check } = textInputs({ operation, count: 4, plainBytes: partOf(context, PLAIN_BYTES) });
    const measured = <T>(codec: AsyncCodec<T>): Contestant => {
      const requester = requesterOf(codec, inputs);
      const sizing = { depth: DEPTH, sampleMs, count: inputs.length, check };
      return {
        ...throughputOf(requester, { ...sizing, figure: (rate) => rate }),
        measure: () => delayDuring(() => driveFor(requester, sizing)),
      };
    };
    const samples = await contest(context, {
      openers: [
        ...ifSubject(context, async () => measured(await subjectCodec(operation))),
        () => idle(sampleMs),
        () => measured(zlibAsync(operation)),
      ],
    });
    const comparisons = [{ baseline: 'idle', target: twoMilliseconds }, { baseline: 'zlib-async' }];
    return compare({ group: 'loop-delay', unit: 'ms p99', samples, comparisons });
  },
};
