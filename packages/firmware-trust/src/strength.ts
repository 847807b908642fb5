/**
 * How strong the cryptography of a certificate must be: OCPP 2.0.1 A00.FR.501-503 (RSA from 2048 bits, elliptic curves
 * from 224 bits) and SHA-256 or better. Keys that OpenSSL must not calculate with are refused here, before it is called.
 */
import {
  bytesOfBits,
  context,
  type Der,
  derInvalid,
  membersOf,
  oidOf,
  onlyDer,
  smallOf,
  structureOf,
  TAG,
  unsignedOf,
} from './der.js';

/** `ocpp`, or `legacy` for fleets whose keys are older than that: RSA from 1024 bits, curves from 192, SHA-1, SHA-224. */
export type Strength = 'ocpp' | 'legacy';

export interface Algorithm {
  readonly oid: string;
  readonly parameters: Der | undefined;
}

export type KeyFacts =
  | { readonly kind: 'rsa'; readonly bits: number; readonly exponent: number | undefined; readonly isOdd: boolean }
  | { readonly kind: 'ec'; readonly bits: number; readonly curve: string }
  | { readonly kind: 'edwards'; readonly curve: string }
  /** Nothing is calculated with it. */
  | { readonly kind: 'unusable'; readonly why: string };

export interface SignatureFacts {
  readonly scheme: 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa' | 'edwards' | 'unknown';
  /** As Node names it; `undefined` where the scheme has its own. */
  readonly hash: string | undefined;
  /** Of the mask of PSS. */
  readonly maskHash?: string;
  readonly oid: string;
}

const LIMITS: Readonly<
  Record<Strength, { rsaBits: number; exponent: number; curveBits: number; hashes: readonly string[] }>
> = {
  ocpp: {
    rsaBits: 2048,
    // FIPS 186-5 5.1 allows no keys with less.
    exponent: 65_537,
    curveBits: 224,
    hashes: ['sha256', 'sha384', 'sha512', 'sha512-256', 'sha3-256', 'sha3-384', 'sha3-512'],
  },
  legacy: { rsaBits: 1024, exponent: 3, curveBits: 192, hashes: ['sha1', 'sha224', 'sha512-224', 'sha3-224'] },
};
/** OpenSSL's own limit. A verification takes a millisecond then. */
const MAX_RSA_BITS = 16_384;
/** Longer ones are not in use, and each bit costs a multiplication. */
const MAX_EXPONENT_BYTES = 4;

const RSA = '1.2.840.113549.1.1.';
const OID = { rsa: `${RSA}1`, pss: `${RSA}10`, mgf1: `${RSA}8`, ec: '1.2.840.10045.2.1' } as const;
const EDWARDS: Readonly<Record<string, string>> = { '1.3.101.112': 'Ed25519', '1.3.101.113': 'Ed448' };

const brainpool = (n: number): string => `1.3.36.3.3.2.8.1.1.${n}`;
const CURVES: Readonly<Record<string, readonly [name: string, bits: number]>> = {
  '1.2.840.10045.3.1.1': ['P-192', 192],
  '1.3.132.0.33': ['P-224', 224],
  '1.2.840.10045.3.1.7': ['P-256', 256],
  '1.3.132.0.34': ['P-384', 384],
  '1.3.132.0.35': ['P-521', 521],
  '1.3.132.0.31': ['secp192k1', 192],
  '1.3.132.0.32': ['secp224k1', 224],
  '1.3.132.0.10': ['secp256k1', 256],
  ...Object.fromEntries(
    [192, 224, 256, 320, 384, 512].flatMap((bits, index) => [
      [brainpool(3 + 2 * index), [`brainpoolP${bits}r1`, bits]],
      [brainpool(4 + 2 * index), [`brainpoolP${bits}t1`, bits]],
    ]),
  ),
};

const HASHES: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.5': 'sha512-224',
  '2.16.840.1.101.3.4.2.6': 'sha512-256',
};
type Row = readonly [scheme: SignatureFacts['scheme'], hash: string];
const sha3 = (scheme: SignatureFacts['scheme'], first: number): [string, Row][] =>
  [224, 256, 384, 512].map((bits, index) => [`2.16.840.1.101.3.4.3.${first + index}`, [scheme, `sha3-${bits}`]]);
const SIGNATURES: Readonly<Record<string, Row>> = {
  [`${RSA}2`]: ['rsa-pkcs1', 'md2'],
  [`${RSA}3`]: ['rsa-pkcs1', 'md4'],
  [`${RSA}4`]: ['rsa-pkcs1', 'md5'],
  [`${RSA}5`]: ['rsa-pkcs1', 'sha1'],
  '1.3.14.3.2.29': ['rsa-pkcs1', 'sha1'],
  [`${RSA}11`]: ['rsa-pkcs1', 'sha256'],
  [`${RSA}12`]: ['rsa-pkcs1', 'sha384'],
  [`${RSA}13`]: ['rsa-pkcs1', 'sha512'],
  [`${RSA}14`]: ['rsa-pkcs1', 'sha224'],
  [`${RSA}15`]: ['rsa-pkcs1', 'sha512-224'],
  [`${RSA}16`]: ['rsa-pkcs1', 'sha512-256'],
  '1.2.840.10045.4.1': ['ecdsa', 'sha1'],
  '1.2.840.10045.4.3.1': ['ecdsa', 'sha224'],
  '1.2.840.10045.4.3.2': ['ecdsa', 'sha256'],
  '1.2.840.10045.4.3.3': ['ecdsa', 'sha384'],
  '1.2.840.10045.4.3.4': ['ecdsa', 'sha512'],
  ...Object.fromEntries([...sha3('ecdsa', 9), ...sha3('rsa-pkcs1', 13)]),
};

/** Throws `DER_INVALID`. */
export function readAlgorithm(der: Der): Algorithm {
  const [oid, parameters, more] = membersOf(onlyDer(der.bytes, TAG.sequence));
  if (!oid || more) throw derInvalid('no algorithm');
  return { oid: oidOf(oid), parameters };
}

/** RFC 4055 3.1: what is left out is SHA-1. */
function readPss({ oid, parameters }: Algorithm): SignatureFacts {
  if (parameters?.tag !== TAG.sequence) return { scheme: 'rsa-pss', hash: 'sha1', maskHash: 'sha1', oid };
  const members = structureOf(parameters);
  const inner = (n: number): Algorithm | undefined => {
    const tagged = members.maybe(context(n));
    return tagged && readAlgorithm(onlyDer(tagged.content, TAG.sequence));
  };
  const hash = inner(0);
  const mask = inner(1);
  const maskHash = mask?.oid === OID.mgf1 && mask.parameters ? readAlgorithm(mask.parameters).oid : undefined;
  const named = (found: string | undefined): string => (found === undefined ? 'unknown' : (HASHES[found] ?? found));
  return {
    scheme: 'rsa-pss',
    hash: hash ? named(hash.oid) : 'sha1',
    maskHash: mask ? named(maskHash) : 'sha1',
    oid,
  };
}

/** What a signature was made with. Throws `DER_INVALID`. */
export function readSignatureFacts(algorithm: Algorithm): SignatureFacts {
  const { oid } = algorithm;
  if (oid === OID.pss) return readPss(algorithm);
  if (EDWARDS[oid] !== undefined) return { scheme: 'edwards', hash: undefined, oid };
  const [scheme, hash] = SIGNATURES[oid] ?? (['unknown', undefined] as const);
  return { scheme, hash, oid };
}

/** A SubjectPublicKeyInfo. Throws `DER_INVALID`. */
export function readKeyFacts(spki: Der): KeyFacts {
  const members = structureOf(spki);
  const { oid, parameters } = readAlgorithm(members.take(TAG.sequence));
  const key = members.take(TAG.bitString);
  members.end();
  if (oid === OID.rsa || oid === OID.pss) {
    const numbers = structureOf(onlyDer(bytesOfBits(key), TAG.sequence));
    const modulus = unsignedOf(numbers.take(TAG.integer));
    const exponent = numbers.take(TAG.integer);
    numbers.end();
    const bits = modulus.length === 0 ? 0 : modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
    const isOdd = ((modulus.at(-1) ?? 0) & 1) === 1;
    const small = unsignedOf(exponent).length <= MAX_EXPONENT_BYTES ? smallOf(exponent) : undefined;
    return { kind: 'rsa', bits, exponent: small, isOdd };
  }
  if (oid === OID.ec) {
    // RFC 5480 2.1.1: certificates name their curve. One that is written out may be any.
    if (parameters?.tag !== TAG.oid) return { kind: 'unusable', why: 'a curve that is not named' };
    const [curve, bits] = CURVES[oidOf(parameters)] ?? [];
    if (curve === undefined || bits === undefined) return { kind: 'unusable', why: `the curve ${oidOf(parameters)}` };
    return { kind: 'ec', bits, curve };
  }
  const curve = EDWARDS[oid];
  return curve === undefined ? { kind: 'unusable', why: `a key of type ${oid}` } : { kind: 'edwards', curve };
}

/** Why nothing is calculated with the key, whatever the settings say; `undefined`: it may be used. Pure. */
export function keyObstacle(key: KeyFacts): string | undefined {
  if (key.kind === 'unusable') return key.why;
  if (key.kind !== 'rsa') return undefined;
  if (key.bits > MAX_RSA_BITS) return `RSA of ${key.bits} bits`;
  if (key.exponent === undefined) return 'RSA with a huge exponent';
  return key.isOdd && key.exponent % 2 === 1 && key.exponent > 1 ? undefined : 'RSA with numbers that make no key';
}

/** Why the key is too weak; `undefined`: it is not. Pure. */
export function keyWeakness(key: KeyFacts, strength: Strength): string | undefined {
  const { rsaBits, exponent, curveBits } = LIMITS[strength];
  if (key.kind === 'rsa' && key.bits < rsaBits) return `RSA of ${key.bits} bits`;
  if (key.kind === 'rsa' && (key.exponent ?? 0) < exponent) return `RSA with the exponent ${key.exponent}`;
  return key.kind === 'ec' && key.bits < curveBits ? `the curve ${key.curve}` : keyObstacle(key);
}

/** Why the signature is too weak; `undefined`: it is not. Pure. */
export function signatureWeakness(
  { scheme, hash, maskHash, oid }: SignatureFacts,
  strength: Strength,
): string | undefined {
  if (scheme === 'edwards') return undefined;
  if (scheme === 'unknown' || hash === undefined) return `a signature of type ${oid}`;
  const allowed = strength === 'ocpp' ? LIMITS.ocpp.hashes : [...LIMITS.ocpp.hashes, ...LIMITS.legacy.hashes];
  return [hash, maskHash ?? hash].find((name) => !allowed.includes(name));
}
