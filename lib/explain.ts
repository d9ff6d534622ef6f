/** What a call would do now, in the words of the `via` that it would get. */
import type { Prepared } from './prepared.js';
import type { Requests } from './requests.js';
import { ALL_BUSY, decideRoute, NO_DEVICE_LEFT, type RouteDecision } from './route.js';
import type { Explanation } from './via.js';

export function explained(prepared: Prepared, requests: Requests, bytes: number): Explanation {
  const { path, reason, requests: count } = decideNow(prepared, requests, bytes);
  const devices = path === 'device' ? prepared.devices.map(({ name }) => name) : [];
  return { path, reason, devices, requests: count };
}

function decideNow(prepared: Prepared, requests: Requests, bytes: number): RouteDecision {
  const usual = decideRoute(prepared, bytes);
  if (usual.path === 'software') return usual;
  if (requests.mustDoWithout(prepared)) return NO_DEVICE_LEFT;
  const { whenBusy, route } = prepared.options;
  const wouldWait = usual.way === 'oneShot' && requests.delayNs(prepared, bytes) > 0;
  return wouldWait && whenBusy === 'software' && route === 'auto' ? ALL_BUSY : usual;
}
