/**
 * Node's module, names and types as they are: what this package does not offer itself passes through here.
 */
export * from 'node:zlib';

/** The shape of the module, and of every module in its place. */
export type ZlibModule = typeof import('node:zlib');
