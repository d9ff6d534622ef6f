/** The stream classes of `warpdrive/zlib`, as values and as types, and the module that they are part of. */

import { zlibOn } from '../../lib/zlib/module.js';
import type * as node from '../../lib/zlib/names.js';
import { shared } from './shared-pool.js';

/** The module: exactly the keys that node:zlib has. */
export const zlib = zlibOn(shared);

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
