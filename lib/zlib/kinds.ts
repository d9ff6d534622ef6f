/**
 * The seven ways to code deflate data that node:zlib has and a device can take over: names, containers, directions.
 */

/** One way, by the name of its one-shot function. */
export interface Kind {
  readonly call: 'deflate' | 'deflateRaw' | 'gzip' | 'inflate' | 'inflateRaw' | 'gunzip' | 'unzip';
  /** Class of its streams. */
  readonly stream: 'Deflate' | 'DeflateRaw' | 'Gzip' | 'Inflate' | 'InflateRaw' | 'Gunzip' | 'Unzip';
  readonly op: 'compress' | 'decompress';
  /** Container, as the library's options name it. */
  readonly format: 'deflate' | 'deflate-raw' | 'gzip' | 'auto';
}

/** All of them. */
export const KINDS: readonly Kind[] = [
  { call: 'deflate', stream: 'Deflate', op: 'compress', format: 'deflate' },
  { call: 'deflateRaw', stream: 'DeflateRaw', op: 'compress', format: 'deflate-raw' },
  { call: 'gzip', stream: 'Gzip', op: 'compress', format: 'gzip' },
  { call: 'inflate', stream: 'Inflate', op: 'decompress', format: 'deflate' },
  { call: 'inflateRaw', stream: 'InflateRaw', op: 'decompress', format: 'deflate-raw' },
  { call: 'gunzip', stream: 'Gunzip', op: 'decompress', format: 'gzip' },
  { call: 'unzip', stream: 'Unzip', op: 'decompress', format: 'auto' },
];
