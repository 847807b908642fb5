/** MAC addresses and EVCCIDs, by which a vehicle is known again at every station: ISO 15118 `SessionSetupReq`, SLAC, IPv6. */
import type { Finder, Line, Secret } from '../finder.js';
import { matchesOf, memberSecrets, memberValues, variableValues } from './quoted.js';

const members = memberValues('evcc_?id|(?:ev_?)?mac(?:_?addr(?:ess)?)?|vehicle_?id|vin');
/** Six groups, also behind a word (`wlan0-...`): neither an EUI-64, nor a fingerprint, nor the rest of an IPv6 address. */
const sixGroups = (separator: string): string =>
  `(?<!(?<![0-9a-z])[0-9a-f]{1,4}${separator})[0-9a-f]{2}(?:${separator}[0-9a-f]{2}){5}(?!${separator}[0-9a-f]{2})`;
const MAC = new RegExp(`(?<![0-9a-z])(?:${sixGroups(':')}|${sixGroups('-')})(?![0-9a-z])`, 'gi');
/** A time as names of files and versions have it: `26-01-15-12-30-00`. */
const TIME = /^[23]\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])-(?:[01]\d|2[0-3])-[0-5]\d-[0-5]\d$/;
/** An address may be made of the same digits; then something calls it one. */
const ADDRESS = /mac|evcc|pev|ether|addr|bssid|hw|link|peer|station|neigh/i;
/** `EVCC 00e04c680012`, `EVCCID: ...`, `MAC address ...` */
const NAMED =
  /\b(?:evcc(?:[ _-]?id)?|(?:ev[ _-]?)?mac(?:[ _-]?addr(?:ess)?)?|vehicle[ _-]?id|vin)\b["'\\]{0,3}\s{0,2}[:=]?\s{0,2}["'\\]{0,3}([0-9a-hj-npr-z]{12,20})(?!\w)/gi;
const XML = /(?:<|&lt;)(?:[\w.-]{1,40}:)?evccid(?:\s[^<>&]{0,200})?(?:>|&gt;)\s{0,8}([^<&\s]{1,64})/gi;
/** A link-local address that is made of a MAC address (RFC 4291, appendix A). */
const EUI64 = /fe80::([0-9a-f]{1,4}):([0-9a-f]{0,2})ff:fe([0-9a-f]{2}):([0-9a-f]{1,4})/gi;
const VARIABLE = /(?<!\\)(\\{0,31}")(?:name|variable)\1\s*:\s*\1(?:VehicleId|EVCCID|MacAddress)\1/gi;

const isTime = (text: string, at: number, value: string): boolean =>
  TIME.test(value) && !ADDRESS.test(text.slice(Math.max(0, at - 32), at));

const plain = (text: string): string => text.toUpperCase().replace(/[^0-9A-Z]/g, '');

function macOf([, a = '', b = '', c = '', d = '']: RegExpMatchArray): string {
  const first = a.padStart(4, '0');
  const universal = Number.parseInt(first.slice(0, 2), 16) ^ 2;
  return `${universal.toString(16).padStart(2, '0')}${first.slice(2)}${b.padStart(2, '0')}${c}${d.padStart(4, '0')}`;
}

/** Of the last group of a match, or of all of it. */
function secretOf(at: number, match: RegExpExecArray, value: string, of = value): Secret {
  const to = at + match.index + match[0].length;
  return { from: to - value.length, to, value: plain(of) };
}

function find(line: Line, onSecret: (secret: Secret) => void): void {
  const { text, at } = line;
  for (const match of matchesOf(MAC, text))
    if (!isTime(text, match.index, match[0])) onSecret(secretOf(at, match, match[0]));
  for (const match of matchesOf(NAMED, text)) onSecret(secretOf(at, match, match[1] ?? ''));
  if (text.includes('<') || text.includes('&lt;'))
    for (const match of matchesOf(XML, text)) onSecret(secretOf(at, match, match[1] ?? ''));
  if (text.includes('::'))
    for (const match of matchesOf(EUI64, text)) onSecret(secretOf(at, match, match[0], macOf(match)));
  if (!text.includes('"') && !text.includes("'")) return;
  for (const [from, to] of members(text))
    onSecret({ from: at + from, to: at + to, value: plain(text.slice(from, to)) });
  for (const each of memberSecrets(line, VARIABLE, variableValues, true))
    onSecret({ ...each, value: plain(line.around(each.from, each.to)) });
}

export const macAddresses: Finder = {
  rule: 'mac_addresses',
  tag: 'mac',
  marks: [
    'evcc',
    'mac ',
    'mac:',
    'mac=',
    'mac"',
    'mac\\',
    "mac'",
    'mac_a',
    'mac-a',
    'macad',
    'vehicleid',
    'vehicle_id',
    'vehicle id',
    'vin"',
    'vin\\',
    'vin ',
    'vin:',
    'vin=',
    'fe80::',
  ],
  isMacLike: true,
  find,
};
