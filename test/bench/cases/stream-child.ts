/**
 * One long stream through a gzip stream, in a process of its own: started with the contestant's name and the number of
 * bytes, answers with one message and ends. The input is source text repeated, made as it is asked for; growth is the
 * highest resident set minus the one just before, with a shorter stream proved.
 */
import { Readable, type Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, gunzipSync } from 'node:zlib';
import { sourceText } from '../corpus.js';
import { answerParent } from '../forked.js';
import { SUBJECT } from '../report.js';
import { highestResidentMiB, residentMiB } from '../resident-set.js';
import { type GzipStreams, subjectGzipStreams } from '../subject.js';

/** What a file is read in. */
const CHUNK_BYTES = 64 * 1024;
const TEXT_BYTES = 4 * 1024 * 1024;
/** Of the stream whose output is proved: enough to have warmed up everything. */
const PROVED_BYTES = 2 * TEXT_BYTES;

/** What the stream's process tells its parent. */
export interface StreamAnswer {
  readonly megabytesPerSecond: number;
  readonly growthMiB: number;
}

async function openStreams(name: string | undefined): Promise<GzipStreams> {
  if (name === SUBJECT) return subjectGzipStreams();
  if (name !== 'node-zlib') throw new Error(`no stream for a contestant called ${name}`);
  return { create: () => createGzip(), checkPath: () => {}, close: async () => {} };
}

/** `bytes` bytes: `text` over and over, in chunks of its own memory. */
function* repeated(text: Buffer, bytes: number): Generator<Buffer, void, void> {
  for (let from = 0; from < bytes; from += CHUNK_BYTES) {
    const at = from % text.length;
    yield text.subarray(at, at + Math.min(CHUNK_BYTES, bytes - from));
  }
}

/** Sends `bytes` bytes through `stream`; `take` gets what comes out. */
async function compress(
  stream: Transform,
  options: { text: Buffer; bytes: number; take: (piece: Buffer) => void },
): Promise<void> {
  const sink = new Writable({
    write(piece: Buffer, _encoding, done) {
      options.take(piece);
      done();
    },
  });
  await pipeline(Readable.from(repeated(options.text, options.bytes)), stream, sink);
}

/** Throws unless a shorter stream comes out right, and of the device where it should. */
async function prove(streams: GzipStreams, text: Buffer): Promise<void> {
  const pieces: Buffer[] = [];
  const stream = streams.create();
  await compress(stream, { text, bytes: PROVED_BYTES, take: (piece) => pieces.push(Buffer.from(piece)) });
  const plain = Buffer.concat([...repeated(text, PROVED_BYTES)]);
  if (!gunzipSync(Buffer.concat(pieces)).equals(plain)) throw new Error('wrong bytes: gzip stream');
  streams.checkPath(stream);
}

async function measure(streams: GzipStreams, bytes: number): Promise<StreamAnswer> {
  const text = sourceText(TEXT_BYTES);
  await prove(streams, text);
  const [beforeMiB, startMs] = [residentMiB(), performance.now()];
  await compress(streams.create(), { text, bytes, take: () => {} });
  const elapsedMs = performance.now() - startMs;
  return { megabytesPerSecond: bytes / 1000 / elapsedMs, growthMiB: highestResidentMiB() - beforeMiB };
}

await answerParent(async () => {
  const [name, bytes] = process.argv.slice(2);
  const streams = await openStreams(name);
  const answer = await measure(streams, Number(bytes));
  await streams.close();
  return answer;
});
