/**
 * AbortSignals of requests in flight: one listener per signal however many requests share it, gone when the last
 * of them has ended.
 */

interface Watched {
  readonly callbacks: Set<() => void>;
  readonly fire: () => void;
}

const watched = new WeakMap<AbortSignal, Watched>();

/** Calls `callback` when `signal` aborts. The answer stops watching. */
export function watchAbort(signal: AbortSignal, callback: () => void): () => void {
  const entry = watched.get(signal) ?? listen(signal);
  entry.callbacks.add(callback);
  return () => {
    entry.callbacks.delete(callback);
    if (entry.callbacks.size > 0) return;
    signal.removeEventListener('abort', entry.fire);
    watched.delete(signal);
  };
}

function listen(signal: AbortSignal): Watched {
  const callbacks = new Set<() => void>();
  const fire = (): void => {
    for (const callback of [...callbacks]) callback();
  };
  const entry = { callbacks, fire };
  watched.set(signal, entry);
  signal.addEventListener('abort', fire, { once: true });
  return entry;
}
