/** Free loopback ports for servers under test. */
export { freePort } from '@khumbu/shared/runtime/free-port';
