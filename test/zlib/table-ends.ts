/** How streams end other than by their own: close, destroy, abort, an error in a listener, options about the end. */
import { addAbortSignal, finished } from 'node:stream';
import { CLASSES, drive, make, noteEvents, type Step } from './differential-steps.js';
import { plain, type Rows, turns, within } from './observe.js';
import { crossed, flipped, inputFor, LONG_TEXT, packedFor, TEXT } from './table-data.js';

const ENDS: Readonly<Record<string, (input: Buffer) => readonly Step[]>> = {
  'close at once': () => [['close']],
  'close twice': () => [['close'], ['close']],
  'close in mid-write': (input) => [['write', input], ['close']],
  'close after a settled write': (input) => [['write', input], ['settle'], ['close'], ['settle'], ['close']],
  'close after end': (input) => [['end', input], ['close']],
  'destroy at once': () => [['destroy']],
  'destroy with an error': () => [['destroy', 'no more']],
  'destroy in mid-write': (input) => [['write', input], ['destroy']],
  'destroy in mid-write with an error': (input) => [
    ['write', input],
    ['write', input],
    ['destroy', 'no more'],
  ],
  'destroy twice': (input) => [
    ['write', input],
    ['destroy', 'first'],
    ['destroy', 'second'],
  ],
  'destroy after end': (input) => [['end', input], ['destroy']],
  'write after close': (input) => [
    ['write', input],
    ['settle'],
    ['close'],
    ['write', input],
    ['settle'],
    ['write', input],
  ],
  'end after close': (input) => [['close'], ['end', input]],
  'end after destroy': (input) => [['write', input], ['destroy'], ['end', input]],
  'destroy with an empty write under way': () => [['write', Buffer.alloc(0)], ['destroy']],
  'destroy with one byte under way': (input) => [['write', input.subarray(0, 1)], ['destroy']],
  'params after destroy': (input) => [['write', input], ['destroy'], ['params', 5, 0]],
  'close with a flush pending': (input) => [['write', input], ['flush'], ['close']],
};

export const rows: Rows = {
  ...crossed(CLASSES, ENDS, (className, steps) => async (zlib) => [
    await drive(zlib, className, undefined, steps(inputFor(className, TEXT))),
    await drive(
      zlib,
      className,
      undefined,
      steps(inputFor(className, LONG_TEXT)).filter(([name]) => name !== 'settle'),
      'late',
    ),
  ]),
  ...crossed(CLASSES, { 'an abort signal': 0 }, (className) => async (zlib) => {
    const stream = make(zlib, className);
    const log: string[] = [];
    noteEvents(stream, log);
    stream.on('error', () => {});
    const controller = new AbortController();
    addAbortSignal(controller.signal, stream);
    stream.resume();
    const closed = new Promise((resolve) => stream.on('close', resolve));
    const written = new Promise((resolve) => stream.write(inputFor(className, LONG_TEXT), resolve));
    controller.abort();
    return [plain(await within(Promise.all([closed, written]))), log];
  }),
  ...crossed(
    CLASSES,
    { 'without autoDestroy': { autoDestroy: false }, 'without emitClose': { emitClose: false } },
    (className, options) => async (zlib) => {
      const answers: unknown[] = [];
      for (const input of [inputFor(className), flipped(inputFor(className), 9, 2)]) {
        const stream = make(zlib, className, options);
        const log: string[] = [];
        noteEvents(stream, log);
        stream.resume();
        await within(
          new Promise((resolve) => {
            stream.on('end', resolve).on('error', resolve);
            stream.end(input);
          }),
        );
        await turns(3);
        answers.push([log, stream.destroyed, stream.closed]);
        stream.destroy();
        await turns(2);
        answers.push(log.length);
      }
      return answers;
    },
  ),
  ...crossed(CLASSES, { 'finished tells the end': 0 }, (className) => async (zlib) => {
    const outcomes: unknown[] = [];
    for (const input of [
      inputFor(className),
      inputFor(className).subarray(0, 800),
      flipped(inputFor(className), 0, 4),
    ]) {
      const stream = make(zlib, className);
      stream.resume();
      outcomes.push(
        await within(
          new Promise((resolve) => {
            finished(stream, (error) => resolve([error?.code, error?.message]));
            stream.end(input);
          }),
        ),
      );
    }
    return outcomes;
  }),
  'close and destroy in a data listener': async (zlib) => {
    const logs: unknown[] = [];
    for (const end of ['close', 'destroy'] as const)
      for (const className of ['Gzip', 'Gunzip']) {
        const stream = make(zlib, className, { chunkSize: 1000 });
        const log: string[] = [];
        noteEvents(stream, log);
        let done = false;
        stream.on('data', () => {
          if (!done) stream[end]();
          done = true;
        });
        const closed = new Promise((resolve) => stream.on('close', resolve));
        const written = new Promise((resolve) => stream.write(inputFor(className, LONG_TEXT), resolve));
        logs.push([plain(await within(Promise.all([closed, written]))), log]);
      }
    return logs;
  },
  'an error is told once, and nothing after it': async (zlib) => {
    const damaged = flipped(packedFor('gunzip', LONG_TEXT), 30_000);
    return [
      await drive(zlib, 'Gunzip', undefined, [
        ['write', damaged],
        ['write', damaged],
        ['flush'],
        ['end', damaged],
      ]),
      await drive(
        zlib,
        'Gunzip',
        { chunkSize: 500 },
        [['write', damaged], ['write', damaged], ['end']],
        'late',
      ),
    ];
  },
};
