/** A webhook: where events are told to, which, and by which keys they are signed. */
import type { WebhookKey } from './signature.js';

export interface Webhook {
  readonly id: string;
  /** `http` or `https`. May hold a user, a password and tokens: see `shownUrl`. */
  readonly url: string;
  readonly title?: string;
  /** In the language of filters, over `EVENT_FIELDS`; absent: every event. */
  readonly filter?: string;
  /** Nothing is sent; what happens waits. */
  readonly paused?: boolean;
  /** The receiver has answered 410: it wants no more. */
  readonly gone?: true;
  /** The newest one first; two at most. */
  readonly keys: readonly WebhookKey[];
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly createdBy?: string;
}

export const isStopped = ({ paused, gone }: Webhook): boolean => paused === true || gone === true;

/** One event on its way to one webhook. */
export interface Delivery {
  /** Of the message: the same in every try, `<webhook>.<event>`. */
  readonly id: string;
  /** Empty: it is of no station. */
  readonly station: string;
  readonly type: string;
  /** JSON, as it is signed and sent in every try. */
  readonly body: string;
}

export interface DeadLetter extends Delivery {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** A stable word, as those of transfers: `http_500`, `refused`, `location_refused`. */
  readonly reason: string;
  /** For people; holds neither address nor keys. */
  readonly message: string;
  readonly tries: number;
}

const HIDDEN = '/…';

/**
 * For people and answers: the origin, and `/…` for what is hidden. User, password, query and fragment are secrets at many
 * receivers, and so is the path, at some from its first part on (`/bot<token>/`).
 */
export function shownUrl(text: string): string {
  const { origin, href } = new URL(text);
  return href === `${origin}/` ? href : `${origin}${HIDDEN}`;
}

/** Something is hidden in it: it stands for a URL, and leads nowhere itself. */
export function isShownUrl(text: string): boolean {
  const { origin, href } = new URL(text);
  return href === new URL(`${origin}${HIDDEN}`).href;
}

/** Of a message: what happened, when, and the event as `GET /v1/events` tells it. */
export const messageBody = (type: string, timestamp: string, data: unknown): string =>
  JSON.stringify({ type, timestamp, data });

export const pairOf = (webhook: string, station: string): string => `${webhook} ${station}`;
export function readPair(pair: string): { readonly webhook: string; readonly station: string } {
  const space = pair.indexOf(' ');
  return { webhook: pair.slice(0, space), station: pair.slice(space + 1) };
}
