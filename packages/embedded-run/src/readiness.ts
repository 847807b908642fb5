/** Whether a child serves by now. Each check answers yes or no and never waits long. */
import { get } from 'node:http';
import { connect } from 'node:net';

const PATIENCE_MS = 2000;

export type ReadyCheck = () => Promise<boolean>;

/** Something accepts connections there; with `send`, its answer contains `expect`. */
export const tcpReady =
  (port: number, send?: string, expect = ''): ReadyCheck =>
  () =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' });
      const finish = (ready: boolean): void => {
        socket.destroy();
        resolve(ready);
      };
      let seen = '';
      socket.setTimeout(PATIENCE_MS, () => finish(false));
      socket.once('error', () => finish(false));
      socket.once('close', () => finish(false));
      socket.once('connect', () => (send === undefined ? finish(true) : socket.write(send)));
      socket.on('data', (bytes) => {
        seen += bytes.toString('latin1');
        if (seen.length >= expect.length) finish(seen.includes(expect));
      });
    });

/** Redis answers; while it loads its file it says -LOADING. */
export const redisReady = (port: number): ReadyCheck => tcpReady(port, 'PING\r\n', '+PONG');

/**
 * The URL answers with a 2xx status. Not by `fetch`: it is asked many times a second while everybody needs the processor,
 * and a refused `fetch` costs several times as much.
 */
export const httpReady =
  (url: string): ReadyCheck =>
  () =>
    new Promise((resolve) => {
      const request = get(url, { agent: false, timeout: PATIENCE_MS }, (response) => {
        const { statusCode = 0 } = response;
        response.resume();
        response.once('end', () => resolve(statusCode >= 200 && statusCode < 300));
        response.once('close', () => resolve(false));
      });
      // Refused, reset or late: not ready.
      request.once('timeout', () => request.destroy());
      request.once('error', () => resolve(false));
    });
