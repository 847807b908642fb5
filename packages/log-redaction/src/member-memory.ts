/**
 * The members of pretty-printed messages, for whoever sees one line at a time: whether a value is a secret stands in another line,
 * before it or behind it.
 */
import { memberValues, variableValues } from './finders/quoted.js';
import { FOREIGN_LINES } from './pem-memory.js';
import { freshOf } from './pseudonyms.js';

type Range = readonly [from: number, to: number];
type Values = (text: string) => Iterable<Range>;
/** What is taken out of the next line. */
export type Members = (text: string) => Iterable<Range>;

/** A member alone in its line, before the name of its variable is known. */
const LONE_VALUE = /^\s*\\{0,31}"(?:attributeValue|actualValue)\\{0,31}"/;
const LONE_PLAIN_VALUE = /^\s*\\{0,31}"value\\{0,31}"/;
const NAME = /"(?:key|name|variable|configurationKey)\\{0,31}"\s*:\s*\\{0,31}"/;
export const SECRET_NAME =
  /"(?:key|name|variable|configurationKey)\\{0,31}"\s*:\s*\\{0,31}"[\w.-]*(?:passw|passphrase|secret|authorizationkey|hmackey|psk|privatekey|simpin)/i;
/** Variables of the device model that hold a token, and that hold what a vehicle is known by. */
export const TOKEN_NAME = /"(?:name|variable)\\{0,31}"\s*:\s*\\{0,31}"(?:Token|IdToken|RfidToken)\\{0,31}"/;
export const VEHICLE_NAME = /"(?:name|variable)\\{0,31}"\s*:\s*\\{0,31}"(?:VehicleId|EVCCID|MacAddress)\\{0,31}"/i;
/** Lines after such a name in which its value may stand: `variableAttribute` has it two levels deeper. */
const NAMED_LINES = 12;
/** So many at least, whatever comes: another program may write between them. */
const SURE_LINES = 4;
/** EVerest writes its tokens with a member a line. */
const TOKEN_OBJECT = /"(?:parent_?|group_?)?id_?(?:token|tag)\\{0,31}"\s*:\s*\{\s*$/i;
const VPN_OBJECT = /"vpn\\{0,31}"\s*:\s*\{\s*$/i;
const ENDS = /^\s*[}\]]/;

const none: readonly Range[] = [];
const depthOf = (text: string): number => text.length - text.trimStart().length;
const vpnValues = memberValues('key|password|user');

/** A name such as `"name": "BasicAuthPassword"`, and the value behind it; a value in front of its name in any case. */
export function createNamedValues(secretName: RegExp): Members {
  let since = Number.POSITIVE_INFINITY;
  return (text) => {
    since += 1;
    if (secretName.test(text)) since = 0;
    // Of another one.
    else if (since > SURE_LINES - 1 && NAME.test(text)) since = Number.POSITIVE_INFINITY;
    const isSecret = LONE_VALUE.test(text) || (since > 0 && since <= NAMED_LINES && LONE_PLAIN_VALUE.test(text));
    return isSecret ? freshOf(text, variableValues(text)) : none;
  };
}

/** All `values` of an object that begins at the end of a line. */
function createObjectMemory(opens: RegExp, values: Values): Members {
  let lines = 0;
  let depth = 0;
  return (text) => {
    const isWithin = lines > 0;
    if (opens.test(text)) {
      lines = FOREIGN_LINES;
      depth = depthOf(text);
    } else if (isWithin) {
      const isEnd = ENDS.test(text) && depthOf(text) <= depth && FOREIGN_LINES - lines >= SURE_LINES;
      lines = isEnd ? 0 : lines - 1;
    }
    return isWithin ? freshOf(text, values(text)) : none;
  };
}

const plainValues: Values = (text) => (LONE_PLAIN_VALUE.test(text) ? variableValues(text) : none);
export const createTokenValues = (): Members => createObjectMemory(TOKEN_OBJECT, plainValues);
export const createVpnValues = (): Members => createObjectMemory(VPN_OBJECT, vpnValues);

/** Whether the object of a value in front of its name has ended, when the lines do. */
export interface OpenValues {
  /** Values of the line; of those before, what ended with it is left out. */
  readonly add: (text: string, at: number) => void;
  /** Where those stand whose name may have come later. */
  readonly left: () => readonly Range[];
}

export function createOpenValues(): OpenValues {
  let open: { readonly depth: number; readonly ranges: readonly Range[] }[] = [];
  return {
    add(text, at) {
      const depth = depthOf(text);
      if (ENDS.test(text)) open = open.filter((each) => each.depth <= depth);
      else if (LONE_VALUE.test(text))
        open.push({
          depth,
          ranges: freshOf(text, variableValues(text)).map(([from, to]) => [from + at, to + at] as const),
        });
    },
    left: () => open.flatMap(({ ranges }) => ranges),
  };
}

const TEXTS = /"[^"]*"?/g;
/** `"variableAttribute": [` */
const MEMBER_OPENS = /"\s*:\s*[[{][\s[{]*$/;
const LONE_NAME = /^\s*\\{0,31}"(?:key|name|variable|configurationKey)\\{0,31}"\s*:\s*\\{0,31}"/;
const LONE_VPN_VALUE = /^\s*\\{0,31}"(?:key|user)\\{0,31}"/;

/**
 * Values of an object whose beginning was not seen: what would tell what they are may have stood there. It goes on within what is
 * a member of it, to the next message or entry of a list. `mayBeVpn`: also those of a network profile, as long as nothing opens.
 */
export function createUnseenValues(mayBeVpn: boolean): Members {
  let lines = 0;
  let most = FOREIGN_LINES;
  /** Brackets that were opened since and not closed. */
  let depth = 0;
  let isVpn = mayBeVpn;
  /** The object that has begun before has told its name since: a value beside it is of that one. */
  let isNamed = false;

  /** Whether the line opens something that is no member of what began before. */
  const beginsAnew = (plain: string): boolean => {
    let isOutside = false;
    for (const [bracket] of plain.replace(TEXTS, '').matchAll(/[{}[\]]/g)) {
      if (bracket === '{' || bracket === '[') {
        isOutside ||= depth === 0;
        depth += 1;
        isVpn &&= bracket === '[';
        continue;
      }
      isNamed &&= depth > 0;
      depth = Math.max(0, depth - 1);
      if (depth === 0) isOutside = false;
    }
    return isOutside && !MEMBER_OPENS.test(plain);
  };

  return (text) => {
    if (lines >= most) return none;
    lines += 1;
    isNamed ||= depth === 0 && LONE_NAME.test(text);
    const isUnnamed = depth > 0 || !isNamed;
    const values = isUnnamed && LONE_PLAIN_VALUE.test(text) ? variableValues(text) : [];
    const more = isVpn && LONE_VPN_VALUE.test(text) ? vpnValues(text) : [];
    if (beginsAnew(text.replaceAll('\\', ''))) most = Math.min(most, SURE_LINES);
    return freshOf(text, [...values, ...more]);
  };
}
