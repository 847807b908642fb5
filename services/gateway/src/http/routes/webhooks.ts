import { randomBytes } from 'node:crypto';
import { FilterError } from '@khumbu/filter/filter-error';
import { parseEventFilter } from '@khumbu/operations/webhooks/event-filter';
import { newKey, validKeys, type WebhookKey } from '@khumbu/operations/webhooks/signature';
import { isShownUrl, messageBody, shownUrl, type Webhook } from '@khumbu/operations/webhooks/webhook';
import type { WebhookStore } from '@khumbu/operations/webhooks/webhook-store';
import { DeliveryParams, WebhookParams } from '@khumbu/rest-contract/parameters';
import {
  DeadLetterPageSchema,
  NewWebhookSchema,
  WebhookKeyOrderSchema,
  WebhookOrderSchema,
  WebhookPageSchema,
  WebhookResendSchema,
  WebhookSchema,
  type WebhookView,
} from '@khumbu/rest-contract/webhooks';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { Static } from 'typebox';
import { ref } from '../contract-schemas.js';
import { reading } from '../inventory.js';
import { Problem } from '../problems.js';
import { refusal } from '../refusals.js';
import { answers, describeRoute, LOCATION_PROBLEMS, type RestApp, WITH_ANY_BODY, WITH_BODY } from '../routing.js';
import type { Audit } from '../submit-operation.js';

const OVERLAP_S = 86_400;
const BODY = WITH_BODY.filter((code) => code !== 'IDEMPOTENCY_KEY_REUSED');

export interface WebhookRouteDeps {
  readonly webhooks: {
    /** However much is read by it, no station waits. */
    readonly reading: Pick<WebhookStore, 'read' | 'list' | 'counts' | 'deadLetters'>;
    readonly writing: Pick<WebhookStore, 'create' | 'change' | 'remove' | 'append' | 'resend'>;
  };
  readonly locations: Pick<LocationPolicy, 'check'>;
  readonly audit: Audit;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

type Order = Static<typeof WebhookOrderSchema>;

/** Throws what is wrong with the filter or the target of an order: a policy that is stricter later stops what is sent then. */
function judgeOrder({ url, filter }: Order, locations: WebhookRouteDeps['locations']): void {
  if (!URL.canParse(url)) throw refusal({ reply: 'Rejected', reason: 'location_malformed' }, undefined, 'url');
  if (isShownUrl(url)) {
    const detail = 'this is the URL as it is shown, of another webhook or of one that has changed: give the whole one';
    throw refusal({ reply: 'Rejected', reason: 'location_malformed', detail }, undefined, 'url');
  }
  const checked = locations.check(url);
  if (!checked.ok) {
    const { code, reason, allowed } = checked;
    throw refusal(
      { reply: 'Rejected', reason: code, detail: reason, ...(allowed ? { allowed } : {}) },
      undefined,
      'url',
    );
  }
  if (filter === undefined) return;
  try {
    parseEventFilter(filter);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    const { message, expected } = error;
    const detail = `filter, ${message}`;
    const allowed = expected.length > 0 ? { allowed: expected } : {};
    throw new Problem('BODY_INVALID', detail, {
      errors: [{ detail, pointer: '#/filter', rule: 'filter', ...allowed }],
    });
  }
}

/** Who sends back what GET has shown means the URL that is in force. Pure. */
const meantUrl = (given: string, before: string): string =>
  URL.canParse(given) && isShownUrl(given) && shownUrl(given) === shownUrl(before) ? before : given;

const keyView = ({ id, createdAt, expiresAt }: WebhookKey) => ({
  id,
  createdAt: rfc3339(createdAt),
  ...(expiresAt === undefined ? {} : { expiresAt: rfc3339(expiresAt) }),
});

function createParts({ webhooks, now }: WebhookRouteDeps) {
  const viewOf = async (webhook: Webhook): Promise<WebhookView> => {
    const { id, url, title, filter, paused = false, gone = false, keys, createdAt, createdBy } = webhook;
    const { waiting, deadLetters, dropped } = await reading(webhooks.reading.counts)(id);
    return {
      id,
      url: shownUrl(url),
      ...(title === undefined ? {} : { title }),
      ...(filter === undefined ? {} : { filter }),
      paused,
      gone,
      keys: validKeys(keys, now()).map(keyView),
      createdAt: rfc3339(createdAt),
      ...(createdBy === undefined ? {} : { createdBy }),
      waiting,
      deadLetters,
      droppedDeadLetters: dropped,
    };
  };
  const secretOf = ({ keys: [newest] }: Webhook): string => {
    if (!newest) throw new TypeError('a webhook has a key');
    return newest.secret;
  };
  const found = (webhook: Webhook | undefined): Webhook => {
    if (!webhook) throw new Problem('WEBHOOK_UNKNOWN');
    return webhook;
  };
  const read = async (id: string): Promise<Webhook> => found(await reading(webhooks.reading.read)(id));
  const change = async (id: string, make: (one: Webhook) => Webhook): Promise<Webhook> =>
    found(await reading(webhooks.writing.change)(id, make));
  return { viewOf, secretOf, read, change };
}

type RouteParts = WebhookRouteDeps & ReturnType<typeof createParts>;

function registrationRoutes(app: RestApp, parts: RouteParts): void {
  const { webhooks, locations, audit, now, viewOf, secretOf } = parts;

  app.post(
    '/webhooks',
    describeRoute({
      id: 'createWebhook',
      tag: 'webhooks',
      scope: 'admin',
      summary: 'Register a webhook',
      description:
        'What happens from now on is told to it. The answer has the secret, this once. Sent again it registers another one.',
      problems: [...BODY, ...LOCATION_PROBLEMS, 'TOO_MANY_WEBHOOKS'],
      success: answers(201, 'The webhook, with its secret.', ref(NewWebhookSchema)),
      takes: { body: ref(WebhookOrderSchema) },
    }),
    async (request, reply) => {
      judgeOrder(request.body, locations);
      const at = now();
      const createdBy = request.caller?.name;
      const webhook: Webhook = {
        id: `wh_${randomBytes(6).toString('hex')}`,
        ...request.body,
        keys: [newKey(at)],
        createdAt: at,
        ...(createdBy === undefined ? {} : { createdBy }),
      };
      if (!(await reading(webhooks.writing.create)(webhook))) throw new Problem('TOO_MANY_WEBHOOKS');
      audit(request, 'create_webhook', '', { outcome: 'accepted', webhook: webhook.id, url: shownUrl(webhook.url) });
      return reply.status(201).send({ ...(await viewOf(webhook)), secret: secretOf(webhook) });
    },
  );

  app.delete(
    '/webhooks/:webhookId',
    describeRoute({
      id: 'deleteWebhook',
      tag: 'webhooks',
      scope: 'admin',
      summary: 'Delete a webhook',
      description: 'With what waits for it and what it did not take. A message on its way may still arrive.',
      problems: [...WITH_ANY_BODY, 'WEBHOOK_UNKNOWN'],
      success: { 204: { description: 'It is gone.', type: 'null' } },
      takes: { params: WebhookParams },
    }),
    async (request, reply) => {
      const { webhookId: webhook } = request.params;
      if (!(await reading(webhooks.writing.remove)(webhook))) throw new Problem('WEBHOOK_UNKNOWN');
      audit(request, 'delete_webhook', '', { outcome: 'accepted', webhook });
      return reply.status(204).send();
    },
  );
}

function readingRoutes(app: RestApp, { webhooks, read, viewOf }: RouteParts): void {
  app.get(
    '/webhooks',
    describeRoute({
      id: 'listWebhooks',
      tag: 'webhooks',
      scope: 'operate',
      summary: 'All webhooks',
      description: 'The oldest first, with what waits for them and what they did not take. No secrets.',
      success: answers(200, 'They.', ref(WebhookPageSchema)),
      takes: {},
    }),
    async () => ({ items: await Promise.all((await reading(webhooks.reading.list)()).map(viewOf)) }),
  );

  app.get(
    '/webhooks/:webhookId',
    describeRoute({
      id: 'getWebhook',
      tag: 'webhooks',
      scope: 'operate',
      summary: 'One webhook',
      description: 'With what waits for it and what it did not take. No secrets.',
      problems: ['WEBHOOK_UNKNOWN'],
      success: answers(200, 'It.', ref(WebhookSchema)),
      takes: { params: WebhookParams },
    }),
    async ({ params }) => viewOf(await read(params.webhookId)),
  );
}

function changingRoutes(app: RestApp, { locations, audit, now, viewOf, read, change }: RouteParts): void {
  app.put(
    '/webhooks/:webhookId',
    describeRoute({
      id: 'replaceWebhook',
      tag: 'webhooks',
      scope: 'admin',
      summary: 'Change a webhook',
      description:
        'What is not in the body is not so any more: without `filter` it is told every event, without `paused` it goes on, also after a 410. Its keys stay, and so does what waits for it. A `url` as `GET` shows it, with `/…` at its end, leaves the URL as it is. Safe to repeat.',
      problems: [...BODY, ...LOCATION_PROBLEMS, 'WEBHOOK_UNKNOWN'],
      success: answers(200, 'As it is now.', ref(WebhookSchema)),
      takes: { params: WebhookParams, body: ref(WebhookOrderSchema) },
    }),
    async (request) => {
      const { webhookId } = request.params;
      const { url: before } = await read(webhookId);
      const order = { ...request.body, url: meantUrl(request.body.url, before) };
      judgeOrder(order, locations);
      const webhook = await change(webhookId, ({ id, keys, createdAt, createdBy }) => ({
        id,
        ...order,
        keys,
        createdAt,
        ...(createdBy === undefined ? {} : { createdBy }),
      }));
      audit(request, 'change_webhook', '', { outcome: 'accepted', webhook: webhook.id, url: shownUrl(webhook.url) });
      return viewOf(webhook);
    },
  );

  app.post(
    '/webhooks/:webhookId/keys',
    describeRoute({
      id: 'rotateWebhookKey',
      tag: 'webhooks',
      scope: 'admin',
      summary: 'Another key',
      description:
        'Messages are signed by it from now on, and for `overlapS` by the key before as well, so that the receiver may change over at any time between. The answer has the new secret, this once. An older one that was still valid ends.',
      problems: [...BODY, 'WEBHOOK_UNKNOWN'],
      success: answers(201, 'The webhook, with its new secret.', ref(NewWebhookSchema)),
      takes: { params: WebhookParams, body: ref(WebhookKeyOrderSchema) },
    }),
    async (request, reply) => {
      const at = now();
      const { overlapS = OVERLAP_S } = request.body;
      const key = newKey(at);
      const webhook = await change(request.params.webhookId, (one) => {
        const [before] = validKeys(one.keys, at);
        const old = before
          ? [{ ...before, expiresAt: Math.min(before.expiresAt ?? Number.POSITIVE_INFINITY, at + overlapS * 1000) }]
          : [];
        return { ...one, keys: [key, ...old] };
      });
      audit(request, 'rotate_webhook_key', '', { outcome: 'accepted', webhook: webhook.id, key: key.id });
      return reply.status(201).send({ ...(await viewOf(webhook)), secret: key.secret });
    },
  );
}

function pingRoute(app: RestApp, { webhooks, audit, now, read, viewOf }: RouteParts): void {
  app.post(
    '/webhooks/:webhookId/ping',
    describeRoute({
      id: 'pingWebhook',
      tag: 'webhooks',
      scope: 'operate',
      summary: 'Send a message to try it out',
      description: 'A message of type `ping`, signed, tried again and given up as any other. Each call sends one.',
      problems: [...WITH_ANY_BODY, 'WEBHOOK_UNKNOWN', 'WEBHOOK_FULL'],
      success: answers(202, 'It is on its way.', ref(WebhookSchema)),
      takes: { params: WebhookParams },
    }),
    async (request, reply) => {
      const webhook = await read(request.params.webhookId);
      const { id } = webhook;
      const type = 'ping';
      const body = messageBody(type, rfc3339(now()), { type });
      const delivery = { id: `${id}.ping-${randomBytes(6).toString('hex')}`, station: '', type, body };
      const appended = await reading(webhooks.writing.append)(id, delivery);
      if (appended !== 'appended') throw new Problem(appended === 'full' ? 'WEBHOOK_FULL' : 'WEBHOOK_UNKNOWN');
      audit(request, 'ping_webhook', '', { outcome: 'accepted', webhook: id });
      return reply
        .status(202)
        .header('location', `/v1/webhooks/${id}`)
        .send(await viewOf(webhook));
    },
  );
}

interface DeadLetterDeps extends Pick<WebhookRouteDeps, 'webhooks' | 'audit'> {
  readonly read: (id: string) => Promise<Webhook>;
}

function deadLetterRoutes(app: RestApp, { webhooks, audit, read }: DeadLetterDeps): void {
  app.get(
    '/webhooks/:webhookId/dead-letters',
    describeRoute({
      id: 'listDeadLetters',
      tag: 'webhooks',
      scope: 'operate',
      summary: 'What it did not take',
      description: 'Messages whose tries are used up, with why, the oldest first.',
      problems: ['WEBHOOK_UNKNOWN'],
      success: answers(200, 'They.', ref(DeadLetterPageSchema)),
      takes: { params: WebhookParams },
    }),
    async ({ params: { webhookId } }) => {
      await read(webhookId);
      const letters = await reading(webhooks.reading.deadLetters)(webhookId);
      return {
        items: letters.map(({ id, station, type, at, tries, reason, message, body }) => ({
          id,
          ...(station === '' ? {} : { stationId: station }),
          type,
          at: rfc3339(at),
          tries,
          reason,
          message,
          event: (JSON.parse(body) as { data: unknown }).data,
        })),
      };
    },
  );

  app.post(
    '/webhooks/:webhookId/dead-letters/resend',
    describeRoute({
      id: 'resendDeadLetters',
      tag: 'webhooks',
      scope: 'operate',
      summary: 'Send all of them again',
      description: 'Behind what waits for their stations: later events may have come before. Safe to repeat.',
      problems: [...WITH_ANY_BODY, 'WEBHOOK_UNKNOWN'],
      success: answers(200, 'How many.', ref(WebhookResendSchema)),
      takes: { params: WebhookParams },
    }),
    async (request) => {
      const { id } = await read(request.params.webhookId);
      let resent = 0;
      for (const letter of await reading(webhooks.reading.deadLetters)(id)) {
        if (await reading(webhooks.writing.resend)(id, letter.id)) resent += 1;
      }
      audit(request, 'resend_dead_letters', '', { outcome: 'accepted', webhook: id, resent });
      return { resent };
    },
  );

  app.post(
    '/webhooks/:webhookId/dead-letters/:deliveryId/resend',
    describeRoute({
      id: 'resendDeadLetter',
      tag: 'webhooks',
      scope: 'operate',
      summary: 'Send one of them again',
      description: 'With the id and the body it had, behind what waits for its station.',
      problems: [...WITH_ANY_BODY, 'WEBHOOK_UNKNOWN', 'DEAD_LETTER_UNKNOWN'],
      success: answers(200, 'One.', ref(WebhookResendSchema)),
      takes: { params: DeliveryParams },
    }),
    async (request) => {
      const { webhookId, deliveryId: delivery } = request.params;
      const { id } = await read(webhookId);
      if (!(await reading(webhooks.writing.resend)(id, delivery))) throw new Problem('DEAD_LETTER_UNKNOWN');
      audit(request, 'resend_dead_letter', '', { outcome: 'accepted', webhook: id, delivery });
      return { resent: 1 };
    },
  );
}

/** `/v1/webhooks`: where events are told to. */
export function webhookRoutes(app: RestApp, deps: WebhookRouteDeps): void {
  const parts = { ...deps, ...createParts(deps) };
  registrationRoutes(app, parts);
  readingRoutes(app, parts);
  changingRoutes(app, parts);
  pingRoute(app, parts);
  deadLetterRoutes(app, parts);
}
