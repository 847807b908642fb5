/** A page of a list as bytes, made in pieces: half a thousand operations are more than a megabyte. */
import type { FastifyReply } from 'fastify';
import type { EventLoopTurn } from './event-loop-turn.js';

interface ListPage {
  readonly items: readonly unknown[];
  readonly nextCursor?: string;
  readonly [member: string]: unknown;
}

const SOME = 25;

export async function sendPage(
  reply: FastifyReply,
  { items, ...rest }: ListPage,
  eventLoopTurn: EventLoopTurn,
): Promise<FastifyReply> {
  const parts: Buffer[] = [Buffer.from('{"items":[')];
  for (let at = 0; at < items.length; at += SOME) {
    await eventLoopTurn();
    const some = items.slice(at, at + SOME).map((item) => JSON.stringify(item));
    parts.push(Buffer.from(`${at === 0 ? '' : ','}${some.join(',')}`));
  }
  const members = JSON.stringify(rest);
  parts.push(Buffer.from(members === '{}' ? ']}' : `],${members.slice(1)}`));
  return reply.type('application/json; charset=utf-8').send(Buffer.concat(parts));
}
