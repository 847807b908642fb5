/**
 * Passwords, keys and tokens by which somebody logs in: in URLs, in headers, as members and settings, and OCPP's own:
 * `AuthorizationKey` (1.6 Security), `BasicAuthPassword` and the network profiles with APN and VPN (2.x).
 */
import type { Finder, Line, Secret } from '../finder.js';
import { ARGUMENT_MARKS, argumentSecrets } from './arguments.js';
import { matchesOf, memberSecrets, memberValues, valueAt, variableValues } from './quoted.js';

const SECRET_NAME =
  '[\\w.-]*(?:password|passwd|passphrase|secret|(?:api|auth|authorization|private|shared|hmac)[_-]?key|psk|sim[_-]?pin|(?:access|refresh|auth|session|security|private)[_-]?token|(?:vault|csrf|xsrf|job|deploy)-token)';

const members = memberValues(`${SECRET_NAME}|pwd|pin|authorization`);
/** User and password of a URL, the `@` in a password that was not escaped included; also with JSON's `\/`. */
const USERINFO = /:(?:\\?\/){2}(?!\[)([^\s/?#"'<>\\@:]*):([^\s/?#"'<>\\]+)@/g;
/** A token in the place of the user. */
const USER_ALONE = /:(?:\\?\/){2}(?!\[)([^\s/?#"'<>\\@:]{20,})@/g;
/** The same at the end of what was cut off; a number may be a port, and a sentence end behind it. */
const OPEN_USERINFO = /:(?:\\?\/){2}(?!\[)[^\s/?#"'<>\\@:]*:(?!\d{1,5}[.,;:!)\]}]*$)([^\s/?#"'<>\\@]+)$/;
const CUT_USERINFO = /:(?:\\?\/){2}(?!\[)(?:[^\s/?#"'<>\\@:]*:([^\s/?#"'<>\\@]+)|([^\s/?#"'<>\\@:]{20,}))$/;
const PARAMETER = new RegExp(
  `[?&;](?:${SECRET_NAME}|token|auth|sig|signature|x-amz-(?:signature|security-token|credential)|pwd|key|code)=([^&\\s"'<>#\\\\]+)`,
  'gi',
);
const HEADER =
  /\b(?:proxy-)?authorization\b["'\\]{0,3}\s{0,4}[:=]\s{0,4}["'\\]{0,3}(?:(?:basic|bearer|token|negotiate|apikey)\s{1,4}([^\s"'<>\\,]+)|digest\s{1,4}([^\r\n'<>\\]+)|([^\s"'<>\\,]{16,}))/gi;
const SCHEME = /\b(?:basic|bearer)\s{1,4}([\w+/=.~-]{12,})/gi;
/** Ordinary words behind `Basic` and `Bearer`, of HTTP, X.509 and modems. */
const WORD =
  /^(?:auth(?:entication|enticated|ori[sz]ation|ori[sz]ed)|credentials|constraints?|(?:dis|re)?connect(?:ions?|ed|ivity)|configur(?:ations?|ed)|establish(?:ment|ed)|(?:de)?activat(?:ion|ed)|initiali[sz](?:ation|ed)|modifications?|information|functionality|capabilit(?:y|ies)|requirements?)\.?$/i;
/** `Cookie: a=b; c=d`, and what a server sets. */
const COOKIE =
  /\b(?:set-)?cookie["'\\]{0,3}(?:\s{0,4}[:=]|(?<=--cookie)\s)\s{0,4}["'\\]{0,3}([\w!#$%&*+.^`|~-]{1,64}=[^\r\n\v'"<>\\]+)/gi;
/** `psk=...`, `--password ...`, `basic_auth_password: ...`; NetworkManager says `...psk: property is invalid`. */
const SETTING = new RegExp(
  `(?<![\\w.[?&;-])-{0,2}(?:${SECRET_NAME}|pwd|sshpass(?==))(?:["']?\\s{0,4}[=:]\\s{0,4}|(?<=--[\\w-]{1,40})\\s{1,4})(?!property\\s(?:is|value)\\b)(?=[^\\s\\[])`,
  'gi',
);
/** A shell's own variable: the folder of a process, as sudo logs it. */
const FOLDER =
  /^\/(?:(?:bin|boot|data|dev|etc|home|lib|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)?(?![^\s;/])|(?:data|etc|home|media|mnt|opt|run|srv|tmp|usr|var)\/)/;
const isFolder = (text: string, name: string, at: number): boolean =>
  name === 'PWD=' && FOLDER.test(text.slice(at, at + 16));
const TOKEN = /(?<![\w.-])token=(?=[^\s[])/gi;
const NAMED_VARIABLE =
  /(?<!\\)(\\{0,31}")(?:key|name|variable|configurationKey)\1\s*:\s*\1[\w.-]*(?:passw|passphrase|secret|authorizationkey|hmackey|psk|privatekey|simpin)[\w.-]*\1/gi;
const VPN = /(?<!\\)(\\{0,31}")vpn\1\s*:\s*(?=\{)/gi;
const vpnValues = memberValues('key|password|user');

/** In members of objects: text without quotes has none. */
function findMembers(line: Line, onSecret: (secret: Secret) => void): void {
  const { text, at } = line;
  for (const [from, to] of members(text)) onSecret({ from: at + from, to: at + to });
  for (const secret of memberSecrets(line, NAMED_VARIABLE, variableValues, true)) onSecret(secret);
  for (const secret of memberSecrets(line, VPN, vpnValues, false)) onSecret(secret);
}

/** What stands behind the name of a setting. */
function findSettings({ text, at }: Line, expression: RegExp, onSecret: (secret: Secret) => void): void {
  let bareTo = 0;
  for (const match of matchesOf(expression, text)) {
    const begin = match.index + match[0].length;
    // What stands in a bare value ends where that does: looking at each anew would take the square of the line's length.
    if (begin < bareTo || isFolder(text, match[0], begin)) continue;
    const value = valueAt(text, begin);
    if (!value) continue;
    onSecret({ from: at + value[0], to: at + value[1] });
    if (value[0] === begin) [, bareTo] = value;
  }
}

function find(line: Line, onSecret: (secret: Secret) => void): void {
  const { text, at } = line;
  if (text.includes('"') || text.includes("'")) findMembers(line, onSecret);
  for (const match of matchesOf(USERINFO, text)) {
    const to = match.index + match[0].length - 1;
    onSecret({ from: at + to - (match[2]?.length ?? 0), to: at + to });
  }
  for (const expression of [USER_ALONE, PARAMETER, HEADER, SCHEME, COOKIE]) {
    for (const match of matchesOf(expression, text)) {
      const value = match[1] ?? match[2] ?? match[3] ?? '';
      if ((expression === SCHEME || expression === HEADER) && WORD.test(value)) continue;
      const end = match.index + match[0].length - (expression === USER_ALONE ? 1 : 0);
      onSecret({ from: at + end - value.length, to: at + end });
    }
  }
  for (const expression of [SETTING, TOKEN]) findSettings(line, expression, onSecret);
  for (const [from, to] of argumentSecrets(text)) onSecret({ from: at + from, to: at + to });
}

function* atEnd(text: string, expression: RegExp): Generator<readonly [from: number, to: number]> {
  const match = expression.exec(text);
  const length = (match?.[1] ?? match?.[2] ?? '').length;
  if (length > 0) yield [text.length - length, text.length];
}

/** A password of a URL at the end of a line whose rest, with the `@`, may have been cut off. */
export const openUserinfo = (line: string): Iterable<readonly [from: number, to: number]> => atEnd(line, OPEN_USERINFO);
/** The same for a line that was cut off for sure: what may be a port, or a host, goes as well. */
export const cutUserinfo = (line: string): Iterable<readonly [from: number, to: number]> => atEnd(line, CUT_USERINFO);

export const credentials: Finder = {
  rule: 'credentials',
  tag: 'secret',
  marks: [
    'password',
    'passwd',
    'passphrase',
    'pwd=',
    'pwd:',
    'pwd"',
    'pwd\\',
    "pwd'",
    'secret',
    'apikey',
    'api_key',
    'api-key',
    'auth-key',
    'authkey',
    'auth_key',
    'authorization',
    'privatekey',
    'private_key',
    'private-key',
    'sharedkey',
    'shared_key',
    'shared-key',
    'hmackey',
    'hmac_key',
    'hmac-key',
    'psk=',
    'psk:',
    'psk"',
    'psk\\',
    'simpin',
    'sim_pin',
    'sim-pin',
    ...['access', 'refresh', 'auth', 'session', 'security', 'private'].flatMap((word) => [
      `${word}token`,
      `${word}_token`,
    ]),
    '-token',
    'cookie',
    ...ARGUMENT_MARKS,
    'token=',
    'bearer ',
    'basic ',
    '"pin',
    '"vpn',
    'tp://',
    's://',
    'tt://',
    'ss://',
    'sh://',
    'p:\\/\\/',
    's:\\/\\/',
    'x-amz',
    'sig=',
    'signature=',
    '?key=',
    '&key=',
    '?auth=',
    '&auth=',
    'code=',
  ],
  find,
};
