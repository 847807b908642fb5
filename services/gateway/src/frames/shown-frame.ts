/** A frame as people may see it: without what opens doors or tells who somebody is. Pure. */
import { PSEUDONYM } from '@khumbu/log-redaction/pseudonyms';
import { keptLocation } from '@khumbu/operations/records/secrets';
import type { MqttFrameView } from '@khumbu/rest-contract/mqtt-frames';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import { withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { KeptFrame } from './frame-ring.js';

/** Characters of a payload that are shown. */
const MOST_SHOWN = 4000;
const DEEPEST = 32;
const TAKEN_OUT = '[taken out]';

/** Members whose value is a secret, whatever it is: APN and VPN, and what stations may say beside the contract. */
const SECRET = 'passw(?:or)?d|passphrase|secret|token|credential|psk|private|authorization';
const SECRET_NAME = new RegExp(`${SECRET}|(?:^|[_-])(?:key|pin)$|[a-z](?:Key|Pin)$`, 'i');
/** The same in text that is no JSON, or whose end is missing: to the end of the value; of a list or an object, of the text. */
const SECRET_MEMBER = new RegExp(
  `("[^"\\\\]{0,64}(?:${SECRET}|key|pin)[^"\\\\]{0,64}"\\s*:\\s*)(?:"(?:[^"\\\\]|\\\\[^])*"?|[[{][^]*|[^\\s,}\\]]+)`,
  'gi',
);
const CONTROL = /[\p{Cc}\p{Cf}]/gu;

const isUrl = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(text);

const isSecret = (name: string, value: unknown): boolean =>
  SECRET_NAME.test(name) && value !== null && !(typeof value === 'string' && PSEUDONYM.test(value));

function withoutSecrets(value: unknown): unknown {
  if (typeof value === 'string') return isUrl(value) ? keptLocation(value) : withoutCredentials(value);
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, isSecret(name, member) ? TAKEN_OUT : withoutSecrets(member)]),
  );
}

/** Brackets within brackets, those in texts too. What is nested without end ends whoever looks through it by calls. */
function nesting(text: string): number {
  let [depth, deepest] = [0, 0];
  for (const character of text) {
    if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth);
    else if (character === ']' || character === '}') depth -= 1;
  }
  return deepest;
}

/** `undefined`: it is no JSON, or nested too deeply. */
function parsed(text: string): { readonly value: unknown } | undefined {
  if (nesting(text) > DEEPEST) return undefined;
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Without the text that it breaks off in: the user and password of a URL are not known before their end. */
const upToLastText = (text: string): string => text.slice(0, text.lastIndexOf('"') + 1);

/** `takeOut`: the rules of logs, for one line. */
function shownText(payload: string, isCut: boolean, takeOut: (line: string) => string): string {
  const bytes = Buffer.from(payload, 'latin1').toString('utf8');
  const text = isCut ? upToLastText(bytes) : bytes;
  const json = parsed(text);
  // One line for the rules, and nothing that turns what is shown around.
  const line = takeOut((json ? JSON.stringify(json.value) : text).replace(CONTROL, ' '));
  const rest = json && parsed(line);
  if (rest) return JSON.stringify(withoutSecrets(rest.value)).replace(CONTROL, ' ');
  return withoutCredentials(line.replace(SECRET_MEMBER, (_all, name: string) => `${name}"${TAKEN_OUT}"`));
}

export function shownFrame(frame: KeptFrame, takeOut: (line: string) => string): MqttFrameView {
  const { at, firstAt, count, direction, topic, qos, sizeBytes, payload, isAgain, isHeard } = frame;
  const isCut = payload.length < sizeBytes;
  const text = shownText(payload, isCut, takeOut);
  return {
    at: rfc3339(at),
    ...(count > 1 ? { count, firstAt: rfc3339(firstAt) } : {}),
    direction,
    topic: topic.replace(CONTROL, ' '),
    qos,
    sizeBytes,
    payload: text.slice(0, MOST_SHOWN),
    cut: isCut || text.length > MOST_SHOWN,
    ...(isAgain ? { again: true } : {}),
    ...(isHeard === undefined ? {} : { heard: isHeard }),
  };
}
