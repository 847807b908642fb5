import type { Keys } from '@khumbu/operations/records/keys';
import { createVerifier } from '@khumbu/operations/security-log/chain';
import { readHead } from '@khumbu/operations/security-log/chain-writer';
import type { ChainPoint } from '@khumbu/operations/security-log/entry';
import { readCheckpoint } from '@khumbu/operations/security-log/forget-entries';
import { readEntries, readPage } from '@khumbu/operations/security-log/read-entries';
import {
  SecurityLogPageSchema,
  SecurityLogQuery,
  SecurityVerdictSchema,
  SecurityVerificationQuery,
} from '@khumbu/rest-contract/security-log';
import type { Redis } from 'ioredis';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { reading } from '../inventory.js';
import { sendPage } from '../pages.js';
import { answers, describeRoute, type RestApp } from '../routing.js';

export interface SecurityLogRouteDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly eventLoopTurn: EventLoopTurn;
}

const BATCH = 200;

const pointOf = (text: string): ChainPoint => {
  const at = text.indexOf(':');
  return { sequence: Number(text.slice(0, at)), hash: text.slice(at + 1) };
};

/** Milliseconds; the schema has seen to its form. */
const dateOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : Date.parse(text));

/** `/v1/security-log`: what was done, and by whom. */
export function securityLogRoutes(app: RestApp, { redis, keys, eventLoopTurn }: SecurityLogRouteDeps): void {
  const ends = reading(async () => {
    const [head, checkpoint] = await Promise.all([readHead(redis, keys), readCheckpoint(redis, keys)]);
    return { head, ...(checkpoint ? { checkpoint } : {}) };
  });
  const page = reading(readPage);
  const entriesAfter = reading((after: number) => readEntries(redis, keys, after, BATCH));

  app.get(
    '/security-log',
    describeRoute({
      id: 'getSecurityLog',
      tag: 'depot',
      scope: 'admin',
      summary: 'What was done, and by whom',
      description:
        'Every login to a station, clock set, reset, firmware installed or refused, change of keys and policies, request over REST. Each entry has the hash of the one before.',
      success: answers(200, 'A page of entries.', ref(SecurityLogPageSchema)),
      takes: { querystring: SecurityLogQuery },
    }),
    async (request, reply) => {
      const { station, what, since, until, limit = 100, cursor } = request.query;
      const filter = { station, what, since: dateOf(since), until: dateOf(until) };
      const { entries, before } = await page(redis, keys, filter, limit, cursor);
      const more = before === undefined ? {} : { nextCursor: String(before) };
      return sendPage(reply, { items: entries, ...more, ...(await ends()) }, eventLoopTurn);
    },
  );

  app.get(
    '/security-log/verification',
    describeRoute({
      id: 'verifySecurityLog',
      tag: 'depot',
      scope: 'admin',
      summary: 'Whether the security log is whole',
      description:
        'Reads all of it and computes each hash again. With anchors (from the manifest of a log archive, or the log of a gateway) it also finds that its end was cut off, or that all of it was written anew.',
      success: answers(200, 'What was found.', ref(SecurityVerdictSchema)),
      takes: { querystring: SecurityVerificationQuery },
    }),
    async (request) => {
      const { head, checkpoint } = await ends();
      // The head was read first: what is chained meanwhile is more, not less.
      const anchors = [head, ...(request.query.anchor ?? []).map(pointOf)].filter(({ sequence }) => sequence > 0);
      const verifier = createVerifier({ checkpoint, anchors });
      for (let after = checkpoint?.sequence ?? 0; ; ) {
        const entries = await entriesAfter(after);
        if (!entries.every((entry) => verifier.add(entry)) || entries.length < BATCH) break;
        after = entries.at(-1)?.sequence ?? after;
        await eventLoopTurn();
      }
      return { ...verifier.end(), head, ...(checkpoint ? { checkpoint } : {}) };
    },
  );
}
