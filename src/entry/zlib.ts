/**
 * `warpdrive/zlib`: in place of `node:zlib`. What a device can do goes to the shared pool of `warpdrive`; everything
 * else, and every name that is not below, is Node's own.
 */
import { zlib } from './zlib-classes.js';

export * from '../../lib/zlib/names.js';
export { viaOf } from '../../lib/zlib/provenance.js';
export { Deflate, DeflateRaw, Gunzip, Gzip, Inflate, InflateRaw, Unzip } from './zlib-classes.js';

/** Compresses into a zlib stream. */
export const deflate = zlib.deflate;
/** Compresses into bare deflate data. */
export const deflateRaw = zlib.deflateRaw;
/** Compresses into gzip. */
export const gzip = zlib.gzip;
/** Decompresses a zlib stream. */
export const inflate = zlib.inflate;
/** Decompresses bare deflate data. */
export const inflateRaw = zlib.inflateRaw;
/** Decompresses gzip, all members. */
export const gunzip = zlib.gunzip;
/** Decompresses gzip or a zlib stream, by its first bytes. */
export const unzip = zlib.unzip;
/** A new {@link Deflate}. */
export const createDeflate = zlib.createDeflate;
/** A new {@link DeflateRaw}. */
export const createDeflateRaw = zlib.createDeflateRaw;
/** A new {@link Gzip}. */
export const createGzip = zlib.createGzip;
/** A new {@link Inflate}. */
export const createInflate = zlib.createInflate;
/** A new {@link InflateRaw}. */
export const createInflateRaw = zlib.createInflateRaw;
/** A new {@link Gunzip}. */
export const createGunzip = zlib.createGunzip;
/** A new {@link Unzip}. */
export const createUnzip = zlib.createUnzip;

export default zlib;
