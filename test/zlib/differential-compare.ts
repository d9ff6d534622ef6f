/** Runs rows with node:zlib and with the module under test, and names every place where the two differ. */
import { isDeepStrictEqual } from 'node:util';
import { type Row, type Rows, settled, uncaught, type Zlib } from './observe.js';

/** Places that are named of one row; the first tell most. */
const PLACES_MAX = 4;

/** Each place where the rows differ: row, place, what node did and what ours did. Empty when they agree. */
export async function differences(rows: Rows, node: Zlib, ours: Zlib): Promise<string[]> {
  const found: string[] = [];
  for (const [name, row] of Object.entries(rows)) {
    const places = await differencesOf(row, node, ours);
    found.push(...places.map((place) => `${name}: ${place}`));
  }
  return found;
}

/** The first places where one row differs. */
export async function differencesOf(row: Row, node: Zlib, ours: Zlib): Promise<string[]> {
  const places = [...differingPlaces(await observe(row, node), await observe(row, ours), '')];
  return places.slice(0, PLACES_MAX);
}

/** What a row observes; a row that fails is an observation, too, and so is an error that nobody caught. */
function observe(row: Row, zlib: Zlib): Promise<unknown> {
  return uncaught(() => settled(Promise.resolve().then(() => row(zlib))));
}

/** Where two observations differ, from the outside in. */
export function* differingPlaces(node: unknown, ours: unknown, path: string): Generator<string, void, void> {
  if (isDeepStrictEqual(node, ours)) return;
  const inside = isNested(node) && isNested(ours) && Array.isArray(node) === Array.isArray(ours);
  if (!inside) {
    yield `at ${path} node has ${JSON.stringify(node)}, ours ${JSON.stringify(ours)}`;
    return;
  }
  for (const key of new Set([...Object.keys(node), ...Object.keys(ours)]))
    yield* differingPlaces(node[key], ours[key], `${path}.${key}`);
}

function isNested(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
