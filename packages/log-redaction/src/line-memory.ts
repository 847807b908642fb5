/**
 * What one line tells of the next ones, for whoever sees each line at once: the lines of a PEM block, and the members of
 * pretty-printed OCPP messages, whose value may stand before the name that makes it a secret.
 */
import type { RedactRule } from '@khumbu/shared/stations/redact-rules';
import type { Found } from './find-secrets.js';
import { pemTail, wordBefore } from './finders/certificates.js';
import { variableValues } from './finders/quoted.js';

/** Of a PEM block; whoever writes between its lines does not end it. */
const FOREIGN_LINES = 64;
/** A member alone in its line, before the name of its variable is known. */
const LONE_VALUE = /^\s*\\{0,31}"(?:attributeValue|actualValue)\\{0,31}"/;
const LONE_PLAIN_VALUE = /^\s*\\{0,31}"value\\{0,31}"/;
const SECRET_KEY =
  /"(?:key|name)\\{0,31}"\s*:\s*\\{0,31}"[\w.-]*(?:passw|passphrase|secret|authorizationkey|psk|privatekey)/i;
/** EVerest writes its tokens with a member a line. */
const TOKEN_OBJECT = /"(?:parent_?|group_?)?id_?(?:token|tag)\\{0,31}"\s*:\s*\{\s*$/i;
const TOKEN_MEMBERS = 4;

const part = (from: number, to: number, rule: string, tag: string, isRest = false): Found => ({
  from,
  to,
  rule,
  tag,
  isRest,
  contextFrom: from,
  contextTo: to,
});

/** Of a bare line of base64 that may be the last of a block whose beginning was not seen. */
const BARE_CHARS = 16;

/** `beginsInside`: what came before the first line is not known; it may have begun a block of PEM. */
export function createLineMemory(
  rules: readonly RedactRule[],
  beginsInside = false,
): {
  /** What is taken out of a line in which `found` was found. */
  add(text: string, found: Found[]): readonly Found[];
} {
  const hasPem = rules.includes('certificates');
  const hasTokens = rules.includes('rfid_tokens');
  const hasSecrets = rules.includes('credentials');
  /** Lines that a block may still have others between; 0: none has begun. */
  let patience = 0;
  let word = '';
  let isFirst = false;
  /** Lines that may still be of a block whose beginning was not seen. */
  let unseen = beginsInside ? FOREIGN_LINES : 0;
  let keyBefore = false;
  /** Members that an object for a token may still have. */
  let tokenMembers = 0;

  /** Takes a line that looks like one of a block for one: the block has begun then. */
  const ofUnseen = (text: string): void => {
    unseen -= 1;
    const [from, to] = pemTail(text, '') ?? [0, 0];
    if (to - from < BARE_CHARS) return;
    unseen = 0;
    patience = FOREIGN_LINES;
    word = wordBefore(text, from);
    isFirst = true;
  };

  const ofPem = (text: string): readonly Found[] => {
    const begins = text.lastIndexOf('-----BEGIN ');
    if (begins !== -1) {
      unseen = 0;
      patience = text.includes('-----END ', begins) ? 0 : FOREIGN_LINES;
      word = wordBefore(text, begins);
      isFirst = true;
      return [];
    }
    if (unseen > 0) ofUnseen(text);
    if (patience === 0) return [];
    const end = text.indexOf('-----END ');
    const tail = pemTail(end === -1 ? text : text.slice(0, end), word);
    if (end !== -1) [patience, unseen] = [0, 0];
    else patience = tail ? FOREIGN_LINES : patience - 1;
    if (!tail) return [];
    const body = part(...tail, 'certificates', 'certificate', !isFirst);
    isFirst = false;
    return [body];
  };

  const ofMembers = (text: string): readonly Found[] => {
    const isSecret = LONE_VALUE.test(text) || (keyBefore && LONE_PLAIN_VALUE.test(text));
    keyBefore = SECRET_KEY.test(text);
    return isSecret ? [...variableValues(text)].map(([from, to]) => part(from, to, 'credentials', 'secret')) : [];
  };

  const ofTokens = (text: string): readonly Found[] => {
    const isToken = tokenMembers > 0 && LONE_PLAIN_VALUE.test(text);
    tokenMembers = TOKEN_OBJECT.test(text) ? TOKEN_MEMBERS : Math.max(0, tokenMembers - 1);
    return isToken ? [...variableValues(text)].map(([from, to]) => part(from, to, 'rfid_tokens', 'rfid')) : [];
  };

  return {
    add(text, found) {
      const tokens = hasTokens ? ofTokens(text) : [];
      const more = [...(hasPem ? ofPem(text) : []), ...(hasSecrets ? ofMembers(text) : []), ...tokens];
      if (more.length === 0) return found;
      const added = more.filter(({ from, to }) => !found.some((each) => each.from < to && from < each.to));
      return [...found, ...added].sort((a, b) => a.from - b.from);
    },
  };
}
