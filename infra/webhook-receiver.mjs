#!/usr/bin/env node
/**
 * A receiver of Khumbu's webhooks, to be copied: it verifies each message as Standard Webhooks has it, takes every message
 * once, and prints it as a line of JSON. Needs Node.js alone.
 *
 *     WEBHOOK_SECRETS=whsec_... PORT=8090 node infra/webhook-receiver.mjs
 *
 * WEBHOOK_SECRETS: the secrets that are valid, by commas; during a rotation the old one and the new one. HOST: 127.0.0.1.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

/** A message that is older, or from the future by more, may have been recorded and sent again. */
const TOLERANCE_S = 300;
const MOST_BYTES = 1024 * 1024;
/** Ids that were taken, so that a message that comes twice is taken once. Keep them where your events are kept. */
const MOST_REMEMBERED = 100_000;

/**
 * Throws why a message is not from the depot. `body`: the bytes as they came, not parsed and written again.
 *
 * @public
 */
export function verify(secrets, headers, body, now = Date.now()) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers;
  if (!id || !timestamp || !signatures) throw new Error('a header is missing');
  if (!(Math.abs(now / 1000 - Number(timestamp)) <= TOLERANCE_S))
    throw new Error('the time stamp is too old or too new');
  const wanted = secrets.map((secret) =>
    createHmac('sha256', Buffer.from(secret.replace(/^whsec_/, ''), 'base64'))
      .update(`${id}.${timestamp}.`)
      .update(body)
      .digest(),
  );
  const given = signatures
    .split(' ')
    .filter((one) => one.startsWith('v1,'))
    .map((one) => Buffer.from(one.slice(3), 'base64'));
  const isSigned = given.some((one) =>
    wanted.some((other) => one.length === other.length && timingSafeEqual(one, other)),
  );
  if (!isSigned) throw new Error('no signature fits');
  return id;
}

async function bodyOf(request) {
  const pieces = [];
  let size = 0;
  for await (const piece of request) {
    size += piece.length;
    if (size > MOST_BYTES) throw Object.assign(new Error('the body is too large'), { status: 413 });
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** @public */
export function createReceiver(secrets, take) {
  const taken = new Set();
  /** Running, by id: who sends the same again meanwhile hears how that ends. */
  const underWay = new Map();
  const takeOnce = async (id, body) => {
    if (taken.has(id)) return;
    await take(JSON.parse(body.toString('utf8')), id);
    taken.add(id);
    if (taken.size > MOST_REMEMBERED) taken.delete(taken.values().next().value);
  };
  const serve = async (request, response) => {
    try {
      const body = await bodyOf(request);
      const id = verify(secrets, request.headers, body);
      if (!underWay.has(id))
        underWay.set(
          id,
          takeOnce(id, body).finally(() => underWay.delete(id)),
        );
      await underWay.get(id);
      // Only what has been taken is confirmed: everything else comes again.
      response.writeHead(204).end();
    } catch (error) {
      response.writeHead(error.status ?? 401, { 'content-type': 'text/plain' }).end(`${error.message}\n`);
    }
  };
  return createServer((request, response) => void serve(request, response));
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const secrets = (process.env.WEBHOOK_SECRETS ?? '').split(',').filter((one) => one !== '');
  if (secrets.length === 0) {
    process.stderr.write('WEBHOOK_SECRETS: the secrets that are valid, by commas\n');
    process.exit(2);
  }
  const server = createReceiver(
    secrets,
    (message, id) => void process.stdout.write(`${JSON.stringify({ id, ...message })}\n`),
  );
  server.listen(Number(process.env.PORT ?? 8090), process.env.HOST ?? '127.0.0.1', () => {
    const { port } = server.address();
    process.stderr.write(`listening on port ${port}\n`);
  });
}
