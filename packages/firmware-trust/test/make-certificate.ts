/** Certificates and revocation lists with anything in them, for tests: a DER writer and Node's own signatures. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { CERTIFICATE_LABELS, certificateFromDer, type ReadCertificate } from '@khumbu/firmware-trust/certificate';
import { type Crl, crlFromDer } from '@khumbu/firmware-trust/crl';
import { readPem } from '@khumbu/firmware-trust/pem';

type Part = Buffer;
export function der(tag: number, ...parts: Part[]): Buffer {
  const content = Buffer.concat(parts);
  const n = content.length;
  const length =
    n < 0x80
      ? [n]
      : n < 0x100
        ? [0x81, n]
        : n < 0x10000
          ? [0x82, n >> 8, n & 255]
          : [0x83, n >> 16, (n >> 8) & 255, n & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}
export const seq = (...parts: Part[]): Buffer => der(0x30, ...parts);
const set = (...parts: Part[]): Buffer => der(0x31, ...parts);
export const octets = (content: Part): Buffer => der(0x04, content);
export const bits = (content: Part, unused = 0): Buffer => der(0x03, Buffer.from([unused]), content);
const bool = (value: boolean): Buffer => der(0x01, Buffer.from([value ? 255 : 0]));
export const int = (value: number | bigint): Buffer => {
  let hex = value.toString(16);
  if (hex.length % 2) hex = `0${hex}`;
  const bytes = Buffer.from(hex, 'hex');
  return der(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
};
const text = (value: string, tag = 0x0c): Buffer => der(tag, Buffer.from(value, tag === 0x0c ? 'utf8' : 'latin1'));
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const out = [arc & 127];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) out.unshift((left & 127) | 128);
    return out;
  });
  return der(0x06, Buffer.from(bytes));
}
const time = (at: Date): Buffer => der(0x18, Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));

const TYPES: Record<string, string> = {
  CN: '2.5.4.3',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  C: '2.5.4.6',
  emailAddress: '1.2.840.113549.1.9.1',
};
/** `O=Maker/CN=leaf`; a value that begins with `<tag>` in hex is written as that type of string. */
function name(of: string): Buffer {
  const parts = of === '' ? [] : of.split('/');
  return seq(
    ...parts.map((part) => {
      const at = part.indexOf('=');
      const [, tag = '0c', value = ''] = /^(?:<([0-9a-f]{2})>)?(.*)$/s.exec(part.slice(at + 1)) ?? [];
      return set(seq(oid(TYPES[part.slice(0, at)] ?? '2.5.4.3'), text(value, Number.parseInt(tag, 16))));
    }),
  );
}

export interface Extra {
  readonly oid: string;
  readonly critical?: boolean;
  readonly value: Buffer;
}
const extension = ({ oid: id, critical = false, value }: Extra): Buffer =>
  seq(oid(id), ...(critical ? [bool(true)] : []), octets(value));

export const EXT = {
  ca: (pathLen?: number, critical = true): Extra => ({
    oid: '2.5.29.19',
    critical,
    value: seq(bool(true), ...(pathLen === undefined ? [] : [int(pathLen)])),
  }),
  notCa: { oid: '2.5.29.19', value: seq() } as Extra,
  usage: (first: number, unused = 0): Extra => ({
    oid: '2.5.29.15',
    critical: true,
    value: bits(Buffer.from([first]), unused),
  }),
  purposes: (...oids: string[]): Extra => ({ oid: '2.5.29.37', value: seq(...oids.map(oid)) }),
  alternatives: (critical: boolean, ...names: Buffer[]): Extra => ({
    oid: '2.5.29.17',
    critical,
    value: seq(...names),
  }),
  constraints: (permitted: Buffer[], excluded: Buffer[] = [], critical = true): Extra => ({
    oid: '2.5.29.30',
    critical,
    value: seq(
      ...(permitted.length > 0 ? [der(0xa0, ...permitted.map((base) => seq(base)))] : []),
      ...(excluded.length > 0 ? [der(0xa1, ...excluded.map((base) => seq(base)))] : []),
    ),
  }),
};
export const GENERAL = {
  dns: (host: string): Buffer => text(host, 0x82),
  email: (address: string): Buffer => text(address, 0x81),
  uri: (uri: string): Buffer => text(uri, 0x86),
  ip: (...octetsOf: number[]): Buffer => der(0x87, Buffer.from(octetsOf)),
  directory: (of: string): Buffer => der(0xa4, name(of)),
};
export const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

const algorithm = (id: string, ...parameters: Buffer[]): Buffer => seq(oid(id), ...parameters);
const NULL = der(0x05);
const RSA = '1.2.840.113549.1.1.';
const SIGNING: Record<string, { readonly hash: string | null; readonly der: Buffer }> = {
  'rsa-md5': { hash: 'md5', der: algorithm(`${RSA}4`, NULL) },
  'rsa-sha1': { hash: 'sha1', der: algorithm(`${RSA}5`, NULL) },
  'rsa-sha224': { hash: 'sha224', der: algorithm(`${RSA}14`, NULL) },
  'rsa-sha256': { hash: 'sha256', der: algorithm(`${RSA}11`, NULL) },
  'rsa-sha512': { hash: 'sha512', der: algorithm(`${RSA}13`, NULL) },
  'ec-sha1': { hash: 'sha1', der: algorithm('1.2.840.10045.4.1') },
  'ec-sha256': { hash: 'sha256', der: algorithm('1.2.840.10045.4.3.2') },
  'ec-sha384': { hash: 'sha384', der: algorithm('1.2.840.10045.4.3.3') },
  'dsa-sha256': { hash: 'sha256', der: algorithm('2.16.840.1.101.3.4.3.2') },
  ed25519: { hash: null, der: algorithm('1.3.101.112') },
  ed448: { hash: null, der: algorithm('1.3.101.113') },
};

export interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
export const ecKeys = (namedCurve = 'P-256'): Keys => generateKeyPairSync('ec', { namedCurve });
export const rsaKeys = (modulusLength = 2048, publicExponent = 65_537): Keys =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent });

export interface Parts {
  readonly subject: string;
  readonly issuer: string;
  readonly keys: Keys | Buffer;
  readonly by: Keys;
  readonly signing?: string;
  readonly extensions?: readonly Extra[];
  readonly serial?: number | bigint;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Spoil the signature. */
  readonly forged?: boolean;
}
const DAY = 86_400_000;
export const pem = (label: string, bytes: Buffer): string =>
  `-----BEGIN ${label}-----\n${bytes
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n')}\n-----END ${label}-----\n`;

const defaultSigning = ({ privateKey }: Keys): string => {
  const type = privateKey.asymmetricKeyType ?? '';
  return type === 'ec' ? 'ec-sha256' : type === 'rsa' ? 'rsa-sha256' : type === 'dsa' ? 'dsa-sha256' : type;
};

function signed(tbs: (algorithm: Buffer) => Buffer, by: Keys, signing: string | undefined, forged = false): Buffer {
  const made = SIGNING[signing ?? defaultSigning(by)];
  if (!made) throw new TypeError(`no signing ${signing}`);
  const body = tbs(made.der);
  const signature = sign(made.hash, body, by.privateKey);
  if (forged) signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1;
  return seq(body, made.der, bits(signature));
}

let serials = 1000;
export function certificateDer(parts: Parts): Buffer {
  const { subject, issuer, keys, by, signing, extensions = [], forged } = parts;
  const spki = Buffer.isBuffer(keys) ? keys : keys.publicKey.export({ type: 'spki', format: 'der' });
  const { notBefore = new Date(Date.now() - DAY), notAfter = new Date(Date.now() + 30 * DAY) } = parts;
  const list = extensions.length === 0 ? [] : [der(0xa3, seq(...extensions.map(extension)))];
  return signed(
    (by_) =>
      seq(
        der(0xa0, int(2)),
        int(parts.serial ?? serials++),
        by_,
        name(issuer),
        seq(time(notBefore), time(notAfter)),
        name(subject),
        spki,
        ...list,
      ),
    by,
    signing,
    forged,
  );
}
export const certificate = (parts: Parts): string => pem('CERTIFICATE', certificateDer(parts));

export interface CrlParts {
  readonly issuer: string;
  readonly by: Keys;
  readonly revoked?: readonly { readonly serial: number; readonly extensions?: readonly Extra[] }[];
  readonly thisUpdate?: Date;
  readonly nextUpdate?: Date | undefined;
  readonly extensions?: readonly Extra[];
  readonly signing?: string;
  readonly forged?: boolean;
}
export function revocationList(parts: CrlParts): string {
  const { issuer, by, revoked = [], extensions = [], signing, forged } = parts;
  const { thisUpdate = new Date(Date.now() - DAY) } = parts;
  const next = 'nextUpdate' in parts ? parts.nextUpdate : new Date(Date.now() + 30 * DAY);
  const entries = revoked.map(({ serial, extensions: more = [] }) =>
    seq(int(serial), time(thisUpdate), ...(more.length > 0 ? [seq(...more.map(extension))] : [])),
  );
  const list = extensions.length === 0 ? [] : [der(0xa0, seq(...extensions.map(extension)))];
  const bytes = signed(
    (by_) =>
      seq(
        int(1),
        by_,
        name(issuer),
        time(thisUpdate),
        ...(next ? [time(next)] : []),
        ...(entries.length > 0 ? [seq(...entries)] : []),
        ...list,
      ),
    by,
    signing,
    forged,
  );
  return pem('X509 CRL', bytes);
}

/** Which key a certificate has, and which one signed it. Where names are shared OpenSSL goes by these alone. */
export const keyIds = (keys: Keys, by: Keys): Extra[] => [
  { oid: '2.5.29.14', value: octets(keyIdOf(keys)) },
  { oid: '2.5.29.35', value: seq(der(0x80, keyIdOf(by))) },
];

export const keyIdOf = (keys: Keys): Buffer =>
  createHash('sha1')
    .update(keys.publicKey.export({ type: 'spki', format: 'der' }))
    .digest();

export const CA: readonly Extra[] = [EXT.ca(), EXT.usage(0x06, 1)];
export const certificatesIn = (...pems: string[]): ReadCertificate[] =>
  readPem(pems.join(''), CERTIFICATE_LABELS).map((entry) => certificateFromDer(entry.der));
export const crlsIn = (...pems: string[]): Crl[] =>
  pems.flatMap((text) => readPem(text, ['X509 CRL']).map((entry) => crlFromDer(entry.der)));

export const NOW = new Date();
export const inDays = (days: number): Date => new Date(NOW.getTime() + days * DAY);
