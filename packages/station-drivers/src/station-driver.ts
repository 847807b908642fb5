/** The port by its older name; the same as `port.ts`. */
export type * from './port.js';
