/** All cases, in the order of the report: from a request alone to whole workloads, then memory by itself. */
import type { BenchCase } from '../case.js';
import { batchCase } from './batch.js';
import { burstCase } from './burst.js';
import { codecCases } from './codec.js';
import { emptyCases } from './empty.js';
import { largeCases } from './large.js';
import { loopDelayCase } from './loop-delay.js';
import { mainThreadCase } from './main-thread.js';
import { memoryCases } from './memory.js';
import { statCase } from './stat.js';
import { streamCase } from './stream.js';
import { tenantsCases } from './tenants.js';
import { translationCases } from './translation.js';

/** Every case. */
export const cases: readonly BenchCase[] = [
  ...emptyCases,
  ...codecCases,
  batchCase,
  ...largeCases,
  streamCase,
  mainThreadCase,
  loopDelayCase,
  statCase,
  burstCase,
  ...tenantsCases,
  ...translationCases,
  ...memoryCases,
];
