/**
 * What the command says in the end: a few lines for a person, or one JSON object. The JSON is an interface: its keys
 * carry their units, and `schemaVersion` grows when one changes its meaning or goes.
 */
import pc from 'picocolors';
import { NS_PER_MS, NS_PER_SECOND } from '../base/units.js';
import { showBytes, showCount } from './amounts.js';
import type { CliRequest } from './arguments.js';
import type { Outcome } from './transfer.js';

/** What was done, and to what. */
export interface Reported {
  readonly request: CliRequest;
  /** Name of the input for people. */
  readonly input: string;
  /** Null when nothing was kept. */
  readonly output: string | null;
  readonly outcome: Outcome;
}

const MS_PER_SECOND = NS_PER_SECOND / NS_PER_MS;

/** The report as one line of JSON. */
export function jsonReport({ request, input, output, outcome }: Reported): string {
  const { inputBytes, outputBytes, elapsedMs, counters, pool, sha256 } = outcome;
  const { operation, format, level } = request;
  const { ratio, bytesPerSecond } = rates(request, outcome);
  const report = {
    schemaVersion: 1,
    operation,
    format,
    level,
    input,
    output,
    inputBytes,
    outputBytes,
    compressionRatio: ratio,
    elapsedMs,
    throughputBytesPerSecond: bytesPerSecond,
    pid: pool.pid,
    pasid: pool.pasid ?? null,
    devices: devicesUsed(outcome),
    queues: pool.queues.map(({ device, queue, completed }) => ({ device, queue, requests: completed })),
    countersWhileDataMoved: counters,
    uncompressedSha256: sha256,
    verified: true,
  };
  return `${JSON.stringify(report)}\n`;
}

/** The report for a person; with colours if the reader shows them. */
export function humanReport({ request, input, output, outcome }: Reported, colours: boolean): string {
  const { bold, green } = pc.createColors(colours && pc.isColorSupported);
  const { inputBytes, outputBytes, elapsedMs, counters, pool, sha256 } = outcome;
  const { operation, format, level } = request;
  const { ratio, bytesPerSecond } = rates(request, outcome);
  const how = level === null ? format : `${format}, level ${level}`;
  const sizes = `${showBytes(inputBytes)} -> ${showBytes(outputBytes)}`;
  const exact = `${showCount(inputBytes, 'byte')} in, ${showCount(outputBytes, 'byte')} out`;
  const seconds = (elapsedMs / MS_PER_SECOND).toFixed(2);
  const lines: [string, string][] = [
    [`${operation}ed`, `${bold(sizes)}${ratio === null ? '' : `, ratio ${ratio.toFixed(2)} : 1`} (${how})`],
    ['bytes', exact],
    ['input', input],
    ['output', output ?? 'not kept; -o OUT keeps it'],
    [
      'device',
      `${devicesUsed(outcome).join(', ') || 'none was needed'}; PASID ${pool.pasid ?? 'none'}, process ${pool.pid}`,
    ],
    ...queueLines(outcome),
    ['while data moved', countersLine(counters)],
    ['throughput', `${showBytes(bytesPerSecond)}/s, ${seconds} s with reading and verifying`],
    ['verified', `${green('identical')}: node:zlib read it back (sha256 ${sha256.slice(0, 16)}...)`],
  ];
  return lines.map(([label, text]) => `${label.padEnd(18)}${text}\n`).join('');
}

function queueLines({ pool }: Outcome): [string, string][] {
  return pool.queues.map(({ device, queue, completed }, index) => [
    index === 0 ? 'queues' : '',
    `${device} queue ${queue}: ${showCount(completed, 'request')}`,
  ]);
}

function countersLine({ syscalls, wakeups, pageRequests, ticks }: Outcome['counters']): string {
  const counts = [
    [syscalls, 'syscall'],
    [wakeups, 'wakeup'],
    [pageRequests, 'page request'],
    [ticks, 'tick'],
  ] as const;
  return counts.map(([count, noun]) => showCount(count, noun)).join(', ');
}

/** Devices that completed a request, in order of name. */
function devicesUsed({ pool }: Outcome): string[] {
  const worked = pool.queues.filter(({ completed }) => completed > 0).map(({ device }) => device);
  return [...new Set(worked)].sort();
}

/** Ratio and speed of the uncompressed side, which is the larger one and the same in both directions. */
function rates(
  { operation }: CliRequest,
  { inputBytes, outputBytes, elapsedMs }: Outcome,
): { ratio: number | null; bytesPerSecond: number } {
  const [plainBytes, packedBytes] =
    operation === 'compress' ? [inputBytes, outputBytes] : [outputBytes, inputBytes];
  return {
    ratio: packedBytes === 0 ? null : plainBytes / packedBytes,
    bytesPerSecond: elapsedMs > 0 ? Math.round((plainBytes / elapsedMs) * MS_PER_SECOND) : 0,
  };
}
