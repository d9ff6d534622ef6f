/**
 * `warpdrive/driver`: everything that the author of a driver needs: the contracts of device model, kernel driver and
 * user driver, byte-layout tables, and `defineDriver`.
 */
export * from '../../lib/driver-api.js';
export * from '../driver-api.js';
