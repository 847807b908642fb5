/** What EVerest writes and reads beside the frames of its requests. */

/** `allow_firmware_installation`, and the answer of a latched variable that has no value yet. */
export const ACCIDENTAL_TRUE = 'true';

/** `undefined` for what is not JSON. */
export const parseJson = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
};

export function readReplyTo(bytes: Buffer): string | undefined {
  const frame = parseJson(bytes) as { headers?: { replyTo?: unknown } } | null | undefined;
  const replyTo = frame?.headers?.replyTo;
  return typeof replyTo === 'string' ? replyTo : undefined;
}

export const hasEnvelope = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && ('headers' in value || 'payload' in value);
