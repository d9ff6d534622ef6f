/**
 * The files of recorded IOMMU cases, as types: JSON Lines, a header line and then one case per line, plain or
 * gzipped. Addresses and other wide quantities are lower-case hex strings; byte strings are plain hex, lowest
 * address first; ids, causes, indices and flags are numbers or booleans.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** Address and bytes of a store. */
export type MemoryWrite = readonly [address: string, bytes: string];

/** First line: what holds for every case of the file. */
export interface Header {
  readonly version: number;
  readonly memoryBytes: number;
  /** Range of a Bare stage in an ATS answer. */
  readonly barePageSize: string;
}

/** Expected values by field; a field that is not there is not compared. */
export type Expected = Readonly<Record<string, unknown>>;

export interface TranslateStep {
  readonly op: 'translate';
  readonly type: 'untranslated' | 'translated' | 'atsRequest';
  readonly deviceId: number;
  readonly pasid: number | null;
  readonly privileged: boolean;
  readonly iova: string;
  readonly access?: 'read' | 'write' | 'execute';
  readonly noWrite?: boolean;
  readonly execute?: boolean;
  readonly expect: Expected;
}

export interface PageRequestStep {
  readonly op: 'pageRequest';
  readonly rid: number;
  readonly dsv: number;
  readonly dseg: number;
  readonly pasid: number | null;
  readonly privileged: boolean;
  readonly execute: boolean;
  readonly payload: string;
  readonly expect: Expected;
}

export interface CommandStep {
  readonly op: 'command';
  readonly name: string;
  readonly dwords: readonly [low: string, high: string];
  readonly expect: Expected;
}

interface CompletionStep {
  readonly op: 'invalidationCompletion';
  /** Index of the step whose invalidation the device completes. */
  readonly of: number;
  readonly expect: Expected;
}

interface PokeStep {
  readonly op: 'poke';
  readonly writes: readonly MemoryWrite[];
}

interface RegisterStep {
  readonly op: 'writeRegister';
  readonly name: string;
  readonly offset: number;
  readonly value: string;
}

export type Step = TranslateStep | PageRequestStep | CommandStep | CompletionStep | PokeStep | RegisterStep;

/** One self-contained case. */
export interface VectorCase {
  readonly name: string;
  readonly memory: readonly MemoryWrite[];
  /** Written in this order after memory is set. */
  readonly registers: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
  /** Final content of every dword that the IOMMU wrote, queues excluded. */
  readonly memoryAfter: readonly MemoryWrite[];
  readonly faultQueue: readonly Expected[];
  readonly pageQueue: readonly Expected[];
  readonly registersAfter: Expected;
}

const GZIP_MAGIC = [0x1f, 0x8b] as const;

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === GZIP_MAGIC[0] && buffer[1] === GZIP_MAGIC[1];
  } finally {
    await file.close();
  }
}

/** The lines of `path`; errors of reading and decompressing are thrown to the caller. */
async function* lines(path: string): AsyncGenerator<string> {
  const compressed = await isGzip(path);
  const source = createReadStream(path);
  // `pipeline` destroys the decompressor with the source's error, which then reaches the loop below.
  const text = compressed ? pipeline(source, createGunzip(), () => {}) : source;
  let rest = '';
  for await (const chunk of text.setEncoding('utf8')) {
    const parts = (rest + (chunk as string)).split('\n');
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== '') yield rest;
}

function parseHeader(line: string): Header {
  const header = JSON.parse(line) as Header;
  if (header.version !== 1) throw new Error(`format version 1 expected, not ${String(header.version)}`);
  if (!Number.isSafeInteger(header.memoryBytes) || header.memoryBytes % 8 !== 0) {
    throw new Error(`memoryBytes is not a whole number of dwords: ${String(header.memoryBytes)}`);
  }
  return header;
}

/** Checks the shape only as far as replaying relies on it to name the case and its parts. */
function parseCase(line: string): VectorCase {
  const testCase = JSON.parse(line) as Partial<VectorCase> | null;
  if (typeof testCase?.name !== 'string') throw new Error('a case without a name');
  const { memory, steps, memoryAfter, faultQueue, pageQueue } = testCase;
  const isWhole = [memory, steps, memoryAfter, faultQueue, pageQueue].every((part) => Array.isArray(part));
  if (!isWhole || !testCase.registers || !testCase.registersAfter)
    throw new Error(`${testCase.name} is incomplete`);
  return testCase as VectorCase;
}

/**
 * Reads `path` line by line: the header first, then case after case. Throws an error that names the line when a
 * line is not JSON, the file is not readable or the header is missing.
 */
export async function* readVectors(path: string): AsyncGenerator<{ header: Header; testCase: VectorCase }> {
  let header: Header | undefined;
  let lineNumber = 0;
  for await (const line of lines(path)) {
    lineNumber++;
    if (line.trim() === '') continue;
    try {
      if (header === undefined) {
        header = parseHeader(line);
        continue;
      }
      yield { header, testCase: parseCase(line) };
    } catch (error) {
      throw new Error(`line ${lineNumber}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (header === undefined) throw new Error('the file has no header line');
}
