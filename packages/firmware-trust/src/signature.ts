/**
 * The signature of a firmware image: over the SHA-256 digest of the whole file as it was downloaded. OCPP wants
 * RSA-PSS or ECDSA, EVerest's own tools make RSA PKCS#1 v1.5, and nothing in a request says which it is: what the key
 * allows is tried one after the other, over the digest alone.
 */
import type { KeyObject } from 'node:crypto';
import { type ReadCertificate, readCertificates } from './certificate.js';
import { ecdsaDer } from './ecdsa-der.js';
import { verifyDigest } from './openssl-verify.js';
import type { KeyFacts } from './strength.js';

export type SignatureScheme = 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa';
export type SignatureReason =
  | 'certificate_unreadable'
  | 'signature_unreadable'
  | 'key_type_unsupported'
  | 'pkcs1_not_allowed'
  | 'signature_mismatch';
export type SignatureVerdict =
  | { readonly ok: true; readonly scheme: SignatureScheme }
  | { readonly ok: false; readonly reason: SignatureReason };

export interface SignatureOptions {
  /** Digest of the file, lower-case hex, computed by the caller from the present file. */
  readonly sha256: string;
  /** Its first certificate's key is used; whether to trust it is `checkChain`'s question. */
  readonly certificatePem: string;
  /** Base64, line breaks allowed, also as literal `\n`. */
  readonly signatureBase64: string;
  readonly allowPkcs1: boolean;
  /** A folder for files of a few hundred bytes, which lose their names at once. */
  readonly scratchDir: string;
  readonly signal: AbortSignal;
}

interface Candidate {
  readonly scheme: SignatureScheme;
  readonly options: readonly string[];
  readonly signature: Buffer;
}

/** Salts differ: OpenSSL's own default is the longest, many tools take that of the digest. */
const PSS = ['rsa_padding_mode:pss', 'rsa_pss_saltlen:auto'];

/** Bytes of the order of a curve. That of secp224k1 alone is longer than its field. */
const orderBytes = ({ curve, bits }: Extract<KeyFacts, { kind: 'ec' }>): number =>
  Math.ceil((curve === 'secp224k1' ? bits + 1 : bits) / 8);

/** What an RSA key of type `rsa-pss` (RFC 4055, 1.2) is bound to, if to anything. */
const allowsSha256 = ({ asymmetricKeyDetails }: KeyObject): boolean =>
  (asymmetricKeyDetails?.hashAlgorithm ?? 'sha256') === 'sha256';

/** The ways in which this may be a signature by this key; none: keys of this type do not sign images. */
function candidatesOf({ x509, key }: ReadCertificate, signature: Buffer): Candidate[] {
  const { publicKey } = x509;
  switch (publicKey.asymmetricKeyType) {
    case 'rsa':
      return [
        { scheme: 'rsa-pkcs1', options: [], signature },
        { scheme: 'rsa-pss', options: PSS, signature },
      ];
    case 'rsa-pss':
      // Padding, mask and salt are the key's: to name them makes OpenSSL refuse a key that is bound.
      return allowsSha256(publicKey) ? [{ scheme: 'rsa-pss', options: [], signature }] : [];
    case 'ec': {
      const der = key.kind === 'ec' ? ecdsaDer(signature, orderBytes(key)) : undefined;
      return [signature, ...(der ? [der] : [])].map((form) => ({ scheme: 'ecdsa', options: [], signature: form }));
    }
    default:
      return [];
  }
}

/** `undefined` for what is not base64. Pure. */
export function readSignature(base64: string): Buffer | undefined {
  const text = base64.replace(/\\r|\\n|\s+/g, '');
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/**
 * Verify the signature of the file that has this digest. Costs a process of some milliseconds for each way in which it may be
 * meant; safe to repeat. Rejects with the signal's reason when aborted, and as `verifyDigest` when there is no verdict.
 */
export async function verifySignature(options: SignatureOptions): Promise<SignatureVerdict> {
  const { sha256, certificatePem, signatureBase64, allowPkcs1, scratchDir, signal } = options;
  signal.throwIfAborted();
  const text = readCertificates(certificatePem);
  if (!text.ok) return { ok: false, reason: 'certificate_unreadable' };
  const signature = readSignature(signatureBase64);
  if (!signature) return { ok: false, reason: 'signature_unreadable' };
  const candidates = candidatesOf(text.leaf, signature);
  if (candidates.length === 0) return { ok: false, reason: 'key_type_unsupported' };
  const shared = { key: text.leaf.x509.publicKey, digest: Buffer.from(sha256, 'hex'), scratchDir, signal };
  for (const { scheme, ...candidate } of candidates) {
    if (!(await verifyDigest({ ...shared, ...candidate }))) continue;
    return scheme === 'rsa-pkcs1' && !allowPkcs1 ? { ok: false, reason: 'pkcs1_not_allowed' } : { ok: true, scheme };
  }
  return { ok: false, reason: 'signature_mismatch' };
}
