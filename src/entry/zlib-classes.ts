/** The stream classes of `warpdrive/zlib`, as values and as types, and the module that they are part of. */
import { zlibOn } from '../../lib/zlib/module.js';
import type * as node from '../../lib/zlib/names.js';
import { shared } from './shared-pool.js';

/** The module: exactly the keys that node:zlib has. */
export const zlib = zlibOn(shared);

/** Node's types by way of the module, as `zlib.Gzip`. @internal */
export declare namespace zlib {
  export type BrotliCompress = node.BrotliCompress;
  export type BrotliDecompress = node.BrotliDecompress;
  export type BrotliOptions = node.BrotliOptions;
  export type CompressCallback = node.CompressCallback;
  export type Deflate = node.Deflate;
  export type DeflateRaw = node.DeflateRaw;
  export type Gunzip = node.Gunzip;
  export type Gzip = node.Gzip;
  export type Inflate = node.Inflate;
  export type InflateRaw = node.InflateRaw;
  export type InputType = node.InputType;
  export type Unzip = node.Unzip;
  export type Zlib = node.Zlib;
  export type ZlibOptions = node.ZlibOptions;
  export type ZlibParams = node.ZlibParams;
  export type ZlibReset = node.ZlibReset;
}

/** Compresses into a zlib stream (RFC 1950). */
export const Deflate = zlib.Deflate;
export type Deflate = node.Deflate;
/** Compresses into bare deflate data (RFC 1951). */
export const DeflateRaw = zlib.DeflateRaw;
export type DeflateRaw = node.DeflateRaw;
/** Compresses into gzip (RFC 1952). */
export const Gzip = zlib.Gzip;
export type Gzip = node.Gzip;
/** Decompresses a zlib stream. */
export const Inflate = zlib.Inflate;
export type Inflate = node.Inflate;
/** Decompresses bare deflate data. */
export const InflateRaw = zlib.InflateRaw;
export type InflateRaw = node.InflateRaw;
/** Decompresses gzip, member after member. */
export const Gunzip = zlib.Gunzip;
export type Gunzip = node.Gunzip;
/** Decompresses gzip or a zlib stream, by its first bytes. */
export const Unzip = zlib.Unzip;
export type Unzip = node.Unzip;
