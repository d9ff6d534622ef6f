/** All studies, in the order of docs/studies.md. */
import { attackers } from './attackers.js';
import { caps } from './caps.js';
import { decisions } from './decisions.js';
import { frameRate } from './frame-rate.js';
import { shares } from './shares.js';
import type { Study } from './study.js';
import { switchCost } from './switch-cost.js';
import { threaded } from './threaded.js';
import { useCases } from './use-cases.js';

export const studies: readonly Study[] = [
  shares,
  caps,
  attackers,
  decisions,
  switchCost,
  threaded,
  frameRate,
  useCases,
];
