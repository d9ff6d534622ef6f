// Does a trace hold what happened, when, and only the newest of it?
import { expect, it } from 'vitest';
import { TraceTail } from '../../src/base/trace.js';

it('a line has time, point, subject and detail, and the oldest goes first', () => {
  let nowNs = 0;
  const trace = new TraceTail(() => nowNs, 2);
  trace.emit('gone', 0);
  nowNs = 5;
  trace.emit('sqe taken', 3);
  trace.emit('queue error', 3, 'tail beyond depth');
  expect(trace.lines()).toEqual(['5 sqe taken 3', '5 queue error 3 tail beyond depth']);
});
