/**
 * Bytes to values and back, by the channel table. Decoding never throws: a bad message is a value that names the
 * reason, with the reply topic if one could be read, so that the caller can still be answered.
 */
import type { ErrorObject } from 'ajv';
import type { TSchema } from 'typebox';
import { type ChannelName, channel, channelNames } from './channels.js';
import { createValidators } from './schema-validators.js';

/** Longest message that is decoded: a longer one gets no reply. */
export const MAX_MESSAGE_BYTES = 256 * 1024;

/** Longest request that is served. A 2.x request with certificate, signature and location is below 10 kB. */
export const MAX_REQUEST_BYTES = 32 * 1024;

export type Decoded =
  | { readonly ok: true; readonly payload: unknown; readonly replyTo?: string }
  | { readonly ok: false; readonly reason: string; readonly replyTo?: string };

const validatorOf = createValidators(false);
const allErrorsOf = createValidators(true);

/** What the message of ajv leaves out. Names and choices only, never what was given. */
const added = ({ params }: ErrorObject): string => {
  if (typeof params.additionalProperty === 'string') return `: ${params.additionalProperty} is not known`;
  return Array.isArray(params.allowedValues) ? `: ${params.allowedValues.join(', ')}` : '';
};

/** Makes ready what the first message of each channel would wait for: some 20 ms in all. */
export function compileContract(): void {
  for (const name of [...channelNames('e2m'), ...channelNames('m2e')]) {
    const { payload, reply } = channel(name);
    validatorOf(payload);
    if (reply) validatorOf(reply.schema);
  }
}

/** Members of a JSON pointer, RFC 6901. */
const membersOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((member) => member.replaceAll('~1', '/').replaceAll('~0', '~'));

export interface Mismatch {
  /** Where: member names and indexes from the outermost. */
  readonly path: readonly string[];
  /** The member in it that is not known, if that is what is wrong. */
  readonly unknown?: string;
  /** The keyword of JSON Schema that it breaks; absent: a rule of ours. */
  readonly rule?: string;
  /** The place as a JSON pointer, and why. Never repeats the value: it may hold secrets. */
  readonly text: string;
}

const mismatchOf = (error: ErrorObject): Mismatch => {
  const { instancePath, keyword: rule, message, params } = error;
  const unknown: unknown = params.additionalProperty;
  return {
    path: membersOf(instancePath),
    ...(typeof unknown === 'string' ? { unknown } : {}),
    rule,
    text: `${instancePath || '/'} ${message ?? 'does not fit'}${added(error)}`,
  };
};

/** The first thing by which `value` does not fit `schema`, or `undefined` if it does. */
export function firstMismatch(schema: TSchema, value: unknown): Mismatch | undefined {
  const validate = validatorOf(schema);
  if (validate(value)) return undefined;
  const error = validate.errors?.[0];
  return error ? mismatchOf(error) : { path: [], text: 'does not fit' };
}

/** The same for what a person wrote: of a member that is missing and one that is not known the latter, which may be the other misspelt. */
export function writtenMismatch(schema: TSchema, value: unknown): Mismatch | undefined {
  const first = firstMismatch(schema, value);
  if (validatorOf(schema).errors?.[0]?.keyword !== 'required') return first;
  const validate = allErrorsOf(schema);
  validate(value);
  const unknown = validate.errors?.find(({ params }) => typeof params.additionalProperty === 'string');
  return unknown ? mismatchOf(unknown) : first;
}

/** Why `value` does not fit `schema`, or `undefined` if it does. Never repeats the value: it may hold secrets. */
export const mismatch = (schema: TSchema, value: unknown): string | undefined => firstMismatch(schema, value)?.text;

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseJson(bytes: Uint8Array): { value: unknown } | { reason: string } {
  if (bytes.length > MAX_MESSAGE_BYTES) return { reason: `longer than ${MAX_MESSAGE_BYTES} bytes` };
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return { reason: 'not UTF-8' };
  }
  try {
    return { value: JSON.parse(text) };
  } catch {
    return { reason: 'not JSON' };
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function readReplyTo(frame: Record<string, unknown>): string | undefined {
  const headers = frame.headers;
  const replyTo = isObject(headers) ? headers.replyTo : undefined;
  return typeof replyTo === 'string' && replyTo.length > 0 ? replyTo : undefined;
}

/** Decode what arrived on a channel. Unknown members pass; what we act on is checked strictly. */
export function decode(name: ChannelName, bytes: Uint8Array): Decoded {
  const { frame, payload: schema, payloadOptional } = channel(name);
  if (frame === 'any') return { ok: true, payload: undefined };
  const parsed = parseJson(bytes);
  if ('reason' in parsed) return { ok: false, reason: parsed.reason };
  if (frame === 'bare') {
    const reason = mismatch(schema, parsed.value);
    return reason ? { ok: false, reason } : { ok: true, payload: parsed.value };
  }
  if (!isObject(parsed.value)) return { ok: false, reason: 'not an object with headers and payload' };
  const replyTo = readReplyTo(parsed.value);
  const address = replyTo === undefined ? {} : { replyTo };
  if (bytes.length > MAX_REQUEST_BYTES)
    return { ok: false, reason: `longer than ${MAX_REQUEST_BYTES} bytes`, ...address };
  const payload = parsed.value.payload;
  if (payload === undefined && !payloadOptional) return { ok: false, reason: 'payload is missing', ...address };
  const reason = payload === undefined ? undefined : mismatch(schema, payload);
  return reason ? { ok: false, reason: `payload${reason}`, ...address } : { ok: true, payload, ...address };
}

/** The bytes of a value we send unasked, or of a request frame. Throws on a value that breaks the contract: a bug. */
export function encode(name: ChannelName, payload: unknown, replyTo?: string): string {
  const { frame, payload: schema, payloadOptional } = channel(name);
  if (payload !== undefined || (frame !== 'any' && !payloadOptional)) {
    const reason = mismatch(schema, payload);
    if (reason) throw new TypeError(`${name}: ${reason}`);
  }
  if (frame === 'bare') return JSON.stringify(payload);
  if (frame === 'any') return JSON.stringify(payload ?? true);
  const headers = replyTo === undefined ? {} : { replyTo };
  return JSON.stringify(payload === undefined ? { headers } : { headers, payload });
}

/** The bytes of a reply: bare JSON, no envelope. Throws on a value EVerest would drop: a bug. */
export function encodeReply(name: ChannelName, reply: unknown): string {
  const schema = channel(name).reply?.schema;
  if (!schema) throw new TypeError(`${name} has no reply`);
  const reason = mismatch(schema, reply);
  if (reason) throw new TypeError(`reply to ${name}: ${reason}`);
  return JSON.stringify(reply);
}
