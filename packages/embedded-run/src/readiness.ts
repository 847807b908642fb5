/** Whether a child serves by now. Each check answers yes or no and never waits long. */
import { get } from 'node:http';
import { answersOn } from '@khumbu/shared/runtime/free-port';

const PATIENCE_MS = 2000;

export type ReadyCheck = () => Promise<boolean>;

/** Something accepts connections there. */
export const tcpReady =
  (port: number): ReadyCheck =>
  () =>
    answersOn(port);

/** Redis answers; while it loads its file it says -LOADING. */
export const redisReady =
  (port: number): ReadyCheck =>
  () =>
    answersOn(port, 'PING\r\n', '+PONG');

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
