// Does the framework always learn, in the end, which context has something to do, so that none waits or runs for nothing?
import { describe, expect, it } from 'vitest';
import { CutBench } from './cut-bench.js';
import { cutDevice } from './cut-devices.js';

const { description } = cutDevice('resume');

/** What was reported last. */
const last = ({ irqs }: CutBench): string | undefined => irqs.at(-1)?.kind;

describe('work and idleness of contexts', () => {
  it('are reported afresh when the number of owners changes, whatever was reported before', () => {
    const bench = new CutBench(description);
    bench.engine.share(true);
    while (bench.step());
    expect(last(bench)).toBe('work');
    // Its last request is done, and before it can say so a third domain comes.
    bench.engine.share(true);
    bench.engine.step();
    expect(last(bench)).toBe('idle');
  });

  it('are reported afresh by a context that is loaded: it may have been loaded because of an old report', () => {
    const bench = new CutBench(description);
    bench.engine.share(true);
    while (bench.step());
    bench.engine.step();
    expect(last(bench)).toBe('idle');
    bench.engine.stop();
    bench.irqs.length = 0;
    bench.engine.start(1, []);
    bench.engine.step();
    expect(last(bench)).toBe('idle');
  });

  it('are not reported with one owner', () => {
    const bench = new CutBench(description);
    bench.toTheEnd();
    bench.engine.step();
    expect(bench.irqs).toEqual([]);
  });
});
