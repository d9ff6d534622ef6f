/** `warpdrive/zlib/promises`: the one-shot functions of `warpdrive/zlib` as promises, which node:zlib does not have. */
import { promisesOf } from '../../lib/zlib/promises.js';
import { zlib } from './zlib-classes.js';

/** All of them by name, those of a newer Node included. */
const promises = promisesOf(zlib);

/** Compresses into a zlib stream. */
export const deflate = promises.deflate;
/** Compresses into bare deflate data. */
export const deflateRaw = promises.deflateRaw;
/** Compresses into gzip. */
export const gzip = promises.gzip;
/** Decompresses a zlib stream. */
export const inflate = promises.inflate;
/** Decompresses bare deflate data. */
export const inflateRaw = promises.inflateRaw;
/** Decompresses gzip, all members. */
export const gunzip = promises.gunzip;
/** Decompresses gzip or a zlib stream, by its first bytes. */
export const unzip = promises.unzip;
/** Compresses with Brotli, in software. */
export const brotliCompress = promises.brotliCompress;
/** Decompresses Brotli, in software. */
export const brotliDecompress = promises.brotliDecompress;

export type { ZlibPromises } from '../../lib/zlib/promises.js';
export { viaOf } from '../../lib/zlib/provenance.js';
export default promises;
