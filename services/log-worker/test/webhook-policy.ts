import { createLocationPolicy } from '@khumbu/shared/locations/policy';

/** Receivers of these tests are on loopback. */
export const loopbackPolicy = () =>
  createLocationPolicy({ allowedSchemes: ['http', 'https'], allowedHosts: [], allowLoopback: true });
