/**
 * Passwords, keys and tokens by which somebody logs in: in URLs, in headers, as members and settings, and OCPP's own:
 * `AuthorizationKey` (1.6 Security), `BasicAuthPassword` and the network profiles with APN and VPN (2.x).
 */
import type { Finder, Line, Secret } from '../finder.js';
import { matchesOf, memberSecrets, memberValues, valueAt, variableValues } from './quoted.js';

const SECRET_NAME =
  '[\\w.-]*(?:password|passwd|passphrase|secret|api_?key|auth_?key|authorization_?key|private_?key|hmac_?key|psk|sim_?pin|access_?token|refresh_?token)';

const members = memberValues(`${SECRET_NAME}|pwd|pin|authorization`);
/** User and password of a URL, the `@` in a password that was not escaped included; also with JSON's `\/`. */
const USERINFO = /:(?:\\?\/){2}(?!\[)([^\s/?#"'<>\\@:]*):([^\s/?#"'<>\\]+)@/g;
/** A token in the place of the user. */
const USER_ALONE = /:(?:\\?\/){2}(?!\[)([^\s/?#"'<>\\@:]{20,})@/g;
/** The same at the end of what was cut off; a number may be a port. */
const OPEN_USERINFO = /:(?:\\?\/){2}(?!\[)[^\s/?#"'<>\\@:]*:(?!\d{1,5}$)([^\s/?#"'<>\\@]+)$/;
const CUT_USERINFO = /:(?:\\?\/){2}(?!\[)(?:[^\s/?#"'<>\\@:]*:([^\s/?#"'<>\\@]+)|([^\s/?#"'<>\\@:]{20,}))$/;
const PARAMETER = new RegExp(
  `[?&;](?:${SECRET_NAME}|token|auth|sig|signature|x-amz-(?:signature|security-token|credential)|pwd|key|code)=([^&\\s"'<>#\\\\]+)`,
  'gi',
);
const HEADER =
  /\b(?:proxy-)?authorization\b["'\\]{0,3}\s{0,4}[:=]\s{0,4}["'\\]{0,3}(?:(?:basic|bearer|token|negotiate|apikey)\s{1,4}([^\s"'<>\\,]+)|digest\s{1,4}([^\r\n'<>\\]+)|([^\s"'<>\\,]{16,}))/gi;
const SCHEME = /\b(?:basic|bearer)\s{1,4}([\w+/=.~-]{12,})/gi;
/** `psk=...`, `--password ...`, `basic_auth_password: ...` */
const SETTING = new RegExp(
  `(?<![\\w.[?&;-])-{0,2}(?:${SECRET_NAME}|pwd)(?:["']?\\s{0,4}[=:]\\s{0,4}|(?<=--[\\w-]{1,40})\\s{1,4})(?=[^\\s\\[])`,
  'gi',
);
const TOKEN = /(?<![\w.-])token=(?=[^\s[])/gi;
const NAMED_VARIABLE =
  /(?<!\\)(\\{0,31}")(?:key|name|variable|configurationKey)\1\s*:\s*\1[\w.-]*(?:passw|passphrase|secret|authorizationkey|hmackey|psk|privatekey|simpin)[\w.-]*\1/gi;
const VPN = /(?<!\\)(\\{0,31}")vpn\1\s*:\s*(?=\{)/gi;
const vpnValues = memberValues('key|password|user');

function* find(line: Line): Generator<Secret> {
  const { text, at } = line;
  if (text.includes('"') || text.includes("'")) {
    for (const [from, to] of members(text)) yield { from: at + from, to: at + to };
    yield* memberSecrets(line, NAMED_VARIABLE, variableValues, true);
    yield* memberSecrets(line, VPN, vpnValues, false);
  }
  for (const match of matchesOf(USERINFO, text)) {
    const to = match.index + match[0].length - 1;
    yield { from: at + to - (match[2]?.length ?? 0), to: at + to };
  }
  for (const expression of [USER_ALONE, PARAMETER, HEADER, SCHEME]) {
    for (const match of matchesOf(expression, text)) {
      const value = match[1] ?? match[2] ?? match[3] ?? '';
      const end = match.index + match[0].length - (expression === USER_ALONE ? 1 : 0);
      yield { from: at + end - value.length, to: at + end };
    }
  }
  for (const expression of [SETTING, TOKEN]) {
    for (const match of matchesOf(expression, text)) {
      const value = valueAt(text, match.index + match[0].length);
      if (value) yield { from: at + value[0], to: at + value[1] };
    }
  }
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
    'authkey',
    'auth_key',
    'authorization',
    'privatekey',
    'private_key',
    'hmackey',
    'hmac_key',
    'psk=',
    'psk:',
    'psk"',
    'psk\\',
    'simpin',
    'sim_pin',
    'accesstoken',
    'access_token',
    'refreshtoken',
    'refresh_token',
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
