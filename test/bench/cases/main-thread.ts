/** CPU that a request costs the application's own thread, which is what an accelerator is there to save. */
import { piscinaCodec } from '../baselines/piscina.js';
import { zlibAsync } from '../baselines/zlib.js';
import { type BenchCase, contest, ifSubject, partOf } from '../case.js';
import { type AsyncCodec, requesterOf, textInputs } from '../codec.js';
import type { Contestant } from '../harness.js';
import { drive, throughputOf } from '../load.js';
import { atMost, compare } from '../report.js';
import { subjectCodec } from '../subject.js';
import { threadCpu } from '../thread-cpu.js';

const DEPTH = 32;
/** Requests of one sample: over half a second for every contestant, see thread-cpu.ts. */
const REQUESTS = 25_000;

/** The main-thread case. */
export const mainThreadCase: BenchCase = {
  group: 'main-thread-4k',
  title: 'main-thread CPU of a request: deflate of 4 KiB, level 1, 32 in flight',
  limitedBy: 'A Promise, an interrupt shared with few others, and two copies for each request.',
  rows: async (context) => {
    const requests = partOf(context, REQUESTS);
    const cpu = threadCpu();
    const operation = { direction: 'deflate', level: 1 } as const;
    const { inputs, check } = textInputs({ operation, count: 64, plainBytes: 4096 });
    const measured = <T>(codec: AsyncCodec<T>): Contestant => {
      const requester = requesterOf(codec, inputs);
      const load = { depth: DEPTH, sampleMs: context.sampleMs, count: inputs.length };
      const measure = async (): Promise<number> => {
        const beforeUs = cpu.usedUs();
        await drive(requester, { depth: DEPTH, requests });
        return (cpu.usedUs() - beforeUs) / requests;
      };
      return { ...throughputOf(requester, { ...load, check, figure: (rate) => rate }), measure };
    };
    const samples = await contest(context, {
      openers: [
        ...ifSubject(context, async () => measured(await subjectCodec(operation))),
        () => measured(zlibAsync(operation)),
        () => measured(piscinaCodec(operation, 'piscina-8')),
      ],
    });
    const comparisons = [{ baseline: 'zlib-async', target: atMost(1 / 3) }, { baseline: 'piscina-8' }];
    const note = `CPU time from ${cpu.source}`;
    return compare({ group: 'main-thread-4k', unit: 'us/request', samples, comparisons, note });
  },
};
