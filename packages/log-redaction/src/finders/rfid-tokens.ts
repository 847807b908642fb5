/**
 * Tokens of people: RFID cards, contract ids (eMAID), tokens of apps. OCPP 1.6 `idTag`, `parentIdTag`; OCPP 2.x `IdTokenType`,
 * `AdditionalInfoType`; OCMF `ID` in signed meter values; EVerest's `ProvidedIdToken` and its own words in logs.
 */
import type { Finder, Line, Secret } from '../finder.js';
import { matchesOf, memberSecrets, memberValues, variableValues } from './quoted.js';

const members = memberValues(
  '(?:parent_?|group_?|additional_?|master_?)?id_?(?:tag|token)|e?maid|contract_?id|pcid|rfid(?:_?tag)?|uid|token_?id|token',
);
const values = memberValues('value');
const signed = memberValues('signedMeterData|signed_meter_data');
const ocmfIds = memberValues('ID');

/** `Found id_tag X in AuthorizationList`, `IdTag: X`: a word is a token if no word of a sentence looks like it. */
const NAMED = /\bid_?(?:tag|token)s?\b["']?\s{0,2}[:=]?\s{0,2}["']?([\w.:@*-]{4,64})/gi;
const LIKE_TOKEN = /\d|^[A-Z]+$/;
/** `token 04A1B2C3D4E5F6`, `rfid uid: 04 A1 B2 C3`. */
const HEX =
  /\b(?:token|rfid|uid|card|badge|tag)\b(?:\s(?:id|uid|number))?["']?\s{0,2}[:=#]?\s{0,2}["']?(?!(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?![\da-f]))((?:[0-9a-f]{2}[ :-]?){3,15}[0-9a-f]{2})(?!\w)/gi;
/** `image tag 20260115`: an identifier may have the same digits, but is no tag of these. */
const VERSION_TAG =
  /(?:version|release|image|firmware|build|git|docker|container)[ -]tag["']?\s{0,2}[:=#]?\s{0,2}["']?$/i;
const VERSION = /^20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[ -]?\d{4,6})?$/;
const EMAID = /\be-?maid\b["']?\s{0,2}[:=]?\s{0,2}["']?([a-z]{2}-?[a-z0-9]{3}-?[a-z0-9]{6,12}(?:-?[a-z0-9])?)(?!\w)/gi;
/** EVerest since 2024: a hash without salt, by which four bytes are found in minutes. */
const EVEREST_HASH = /\[redacted\] hash: ([0-9a-f]{1,16})/gi;
/** ISO 15118 in the XML of session logs, plain or as HTML. */
const XML = /(?:<|&lt;)(?:[\w.-]{1,40}:)?(?:e?maid|pcid)(?:\s[^<>&]{0,200})?(?:>|&gt;)\s{0,8}([^<&\s]{1,64})/gi;
/** `OCMF|` in hexadecimal digits and in base64. */
const PACKED_OCMF = /4f434d46(?:7c)?[0-9a-f]{16,}|T0NNR[ln][A-Za-z0-9+/\\]{16,}={0,2}/g;
const PACKED_OCMF_UPPER = /4F434D46(?:7C)?[0-9A-F]{16,}/g;
/** TokenReader of the device model. */
const VARIABLE = /(?<!\\)(\\{0,31}")(?:name|variable)\1\s*:\s*\1(?:Token|IdToken|RfidToken)\1/g;
/** `id_token: {"type": ..., "value": ...}` */
const OBJECT = /(?<!\\)(\\{0,31}")(?:parent_?|group_?)?id_?(?:token|tag)\1\s*:\s*(?=\{)/gi;

const plain = (text: string): string => text.toUpperCase().replace(/[ :-]/g, '');

const withValue = (line: Line, secret: Secret): Secret => ({
  ...secret,
  value: plain(line.around(secret.from, secret.to)),
});

/** Of the last group of a match, or of all of it. */
function secretOf(at: number, match: RegExpExecArray, isPlain: boolean): Secret {
  const value = match[1] ?? match[0];
  const to = at + match.index + match[0].length;
  return { from: to - value.length, to, value: isPlain ? plain(value) : value };
}

/** Digits behind a word that mean a release. */
function isVersion(text: string, { index, 0: { length }, 1: value = '' }: RegExpExecArray): boolean {
  const before = index + length - value.length;
  return VERSION.test(value) && VERSION_TAG.test(text.slice(Math.max(0, before - 32), before));
}

const rangeOf = ({ text, at }: Line, from: number, to: number): Secret => ({
  from: at + from,
  to: at + to,
  value: plain(text.slice(from, to)),
});

/** Anything but a hexadecimal number after a word. */
const REST = /id_?t|maid|pcid|redacted\]|4f434d46|T0NNR/i;

/** In members of objects: text without quotes has none. */
function findMembers(line: Line, onSecret: (secret: Secret) => void): void {
  const { text } = line;
  for (const [from, to] of members(text)) onSecret(rangeOf(line, from, to));
  for (const secret of memberSecrets(line, OBJECT, values, false)) onSecret(withValue(line, secret));
  for (const secret of memberSecrets(line, VARIABLE, variableValues, true)) onSecret(withValue(line, secret));
  for (const [from, to] of signed(text)) onSecret(rangeOf(line, from, to));
  if (text.includes('OCMF')) for (const [from, to] of ocmfIds(text)) onSecret(rangeOf(line, from, to));
}

function find(line: Line, onSecret: (secret: Secret) => void): void {
  const { text, at } = line;
  if (text.includes('"') || text.includes("'")) findMembers(line, onSecret);
  for (const match of matchesOf(HEX, text)) if (!isVersion(text, match)) onSecret(secretOf(at, match, true));
  if (!REST.test(text)) return;
  for (const match of matchesOf(NAMED, text)) if (LIKE_TOKEN.test(match[1] ?? '')) onSecret(secretOf(at, match, true));
  for (const expression of [EMAID, XML])
    for (const match of matchesOf(expression, text)) onSecret(secretOf(at, match, true));
  for (const expression of [EVEREST_HASH, PACKED_OCMF, PACKED_OCMF_UPPER])
    for (const match of matchesOf(expression, text)) onSecret(secretOf(at, match, false));
}

export const rfidTokens: Finder = {
  rule: 'rfid_tokens',
  tag: 'rfid',
  marks: [
    'idtag',
    'id_tag',
    'idtoken',
    'id_token',
    'token',
    'maid',
    'contractid',
    'contract_id',
    'pcid',
    'rfid',
    'uid"',
    'uid\\',
    'uid ',
    'uid:',
    'uid=',
    'card ',
    'card:',
    'badge',
    'tag ',
    'tag:',
    'tag=',
    'tag#',
    'redacted] hash',
    'ocmf',
    '4f434d46',
    't0nnr',
    'signedmeterdata',
    'signed_meter_data',
  ],
  find,
};
