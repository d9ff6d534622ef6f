/**
 * One burst in a process of its own: started with the contestant's name and the number of requests, answers with one
 * message and ends. Growth is the highest resident set minus the one just before the burst, with the codec open and its
 * results proved.
 */
import { piscinaCodec } from '../baselines/piscina.js';
import { zlibAsync } from '../baselines/zlib.js';
import { type AsyncCodec, requesterOf, textInputs } from '../codec.js';
import { answerParent } from '../forked.js';
import { drive, verifyAll } from '../load.js';
import { SUBJECT } from '../report.js';
import { highestResidentMiB, residentMiB } from '../resident-set.js';
import { subjectCodec } from '../subject.js';

const operation = { direction: 'deflate', level: 1 } as const;

/** What the burst's process tells its parent. */
export interface BurstAnswer {
  readonly requestsPerSecond: number;
  readonly growthMiB: number;
}

async function openCodec(name: string | undefined): Promise<AsyncCodec<unknown>> {
  if (name === SUBJECT) return (await subjectCodec(operation)) as AsyncCodec<unknown>;
  if (name === 'piscina') return piscinaCodec(operation, 'piscina') as AsyncCodec<unknown>;
  if (name === 'zlib-async') return zlibAsync(operation) as AsyncCodec<unknown>;
  throw new Error(`no burst for a contestant called ${name}`);
}

async function burst(codec: AsyncCodec<unknown>, requests: number): Promise<BurstAnswer> {
  const { inputs, check } = textInputs({ operation, count: 64, plainBytes: 1024 });
  const requester = requesterOf(codec, inputs);
  await verifyAll(requester, { count: inputs.length, check });
  const beforeMiB = residentMiB();
  // As many in flight as there are requests: all are started before the first can end.
  const elapsedMs = await drive(requester, { depth: requests, requests });
  const growthMiB = highestResidentMiB() - beforeMiB;
  return { requestsPerSecond: (requests * 1000) / elapsedMs, growthMiB };
}

await answerParent(async () => {
  const [name, requests] = process.argv.slice(2);
  const codec = await openCodec(name);
  const answer = await burst(codec, Number(requests));
  await codec.close();
  return answer;
});
