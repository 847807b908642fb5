/**
 * The signature of a firmware image: over the SHA-256 digest of the whole file as it was downloaded. OCPP wants
 * RSA-PSS or ECDSA, EVerest's own tools make RSA PKCS#1 v1.5, and nothing in a request says which it is. An RSA
 * signature shows it when its padding is looked at; of the encodings of ECDSA both are tried, in one pass over the file.
 */
import { constants, createVerify, type KeyObject, publicDecrypt } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { readCertificates } from './certificate.js';

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
  readonly imagePath: string;
  /** Digest of the file, lower-case hex, computed by the caller from the present file. */
  readonly sha256?: string;
  /** Its first certificate's key is used; whether to trust it is `checkChain`'s question. */
  readonly certificatePem: string;
  /** Base64, line breaks allowed, also as literal `\n`. */
  readonly signatureBase64: string;
  readonly allowPkcs1: boolean;
  readonly signal: AbortSignal;
}

const CHUNK_BYTES = 1024 * 1024;

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };

/** RFC 8017, 9.2, note 1: DigestInfo of SHA-256, without the digest. */
const SHA256_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex');

/**
 * What an RSA signature holds under PKCS#1 v1.5 padding; `undefined`: it is not padded so. OpenSSL checks the padding;
 * the same bytes whole are what its own verification compares (RFC 8017, 8.2.2).
 */
function pkcs1Content(key: KeyObject, signature: Buffer): Buffer | undefined {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (signature.length !== Math.ceil(bits / 8)) return undefined;
  try {
    return publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature);
  } catch (error) {
    // OpenSSL refuses the padding, or a number that is out of range for this key.
    if ((error as { code?: string }).code?.startsWith('ERR_OSSL_')) return undefined;
    throw error;
  }
}

function candidatesOf(key: KeyObject, pkcs1: Buffer | undefined) {
  const candidate = (scheme: SignatureScheme, options: object) => {
    const digest = createVerify('sha256');
    const isGood = (signature: Buffer): boolean => {
      try {
        return digest.verify({ key, ...options }, signature);
      } catch (error) {
        // The error of Node when `r || s` does not have the length of the curve.
        if (hasCode(error, 'ERR_CRYPTO_OPERATION_FAILED')) return false;
        throw error;
      }
    };
    return { scheme, digest, isGood };
  };
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return [pkcs1 ? candidate('rsa-pkcs1', { padding: constants.RSA_PKCS1_PADDING }) : candidate('rsa-pss', PSS)];
    case 'rsa-pss':
      return [candidate('rsa-pss', PSS)];
    case 'ec':
      return ['der', 'ieee-p1363'].map((dsaEncoding) => candidate('ecdsa', { dsaEncoding }));
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
 * Verify the file. Reads it once, in chunks of 1 MiB, memory bounded, and not at all for PKCS#1 v1.5 with `sha256`; safe
 * to repeat. Rejects with the signal's reason when aborted, and with the file system's error when the file cannot be
 * read.
 */
export async function verifySignature(options: SignatureOptions): Promise<SignatureVerdict> {
  const { imagePath, sha256, certificatePem, signatureBase64, allowPkcs1, signal } = options;
  signal.throwIfAborted();
  const text = readCertificates(certificatePem);
  if (!text.ok) return { ok: false, reason: 'certificate_unreadable' };
  const signature = readSignature(signatureBase64);
  if (!signature) return { ok: false, reason: 'signature_unreadable' };
  const key = text.leaf.x509.publicKey;
  const pkcs1 = key.asymmetricKeyType === 'rsa' ? pkcs1Content(key, signature) : undefined;
  if (pkcs1 && sha256 !== undefined) {
    if (!pkcs1.equals(Buffer.concat([SHA256_INFO, Buffer.from(sha256, 'hex')])))
      return { ok: false, reason: 'signature_mismatch' };
    return allowPkcs1 ? { ok: true, scheme: 'rsa-pkcs1' } : { ok: false, reason: 'pkcs1_not_allowed' };
  }
  const candidates = candidatesOf(key, pkcs1);
  if (candidates.length === 0) return { ok: false, reason: 'key_type_unsupported' };
  for await (const chunk of createReadStream(imagePath, { highWaterMark: CHUNK_BYTES })) {
    signal.throwIfAborted();
    for (const { digest } of candidates) digest.update(chunk as Buffer);
  }
  signal.throwIfAborted();
  const good = candidates.find((candidate) => candidate.isGood(signature));
  if (!good) return { ok: false, reason: 'signature_mismatch' };
  if (good.scheme === 'rsa-pkcs1' && !allowPkcs1) return { ok: false, reason: 'pkcs1_not_allowed' };
  return { ok: true, scheme: good.scheme };
}
