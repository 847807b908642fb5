/**
 * The signature of a firmware image: over the SHA-256 digest of the whole file as it was downloaded. OCPP wants
 * RSA-PSS or ECDSA, EVerest's own tools make RSA PKCS#1 v1.5, and nothing in a request says which it is: so every
 * scheme the key can do is tried, all in one pass over the file.
 */
import { constants, createVerify, type KeyObject, type Verify } from 'node:crypto';
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
  /** Its first certificate's key is used; whether to trust it is `checkChain`'s question. */
  readonly certificatePem: string;
  /** Base64, line breaks allowed, also as literal `\n`. */
  readonly signatureBase64: string;
  readonly allowPkcs1: boolean;
  readonly signal: AbortSignal;
}

const CHUNK_BYTES = 1024 * 1024;

interface Candidate {
  readonly scheme: SignatureScheme;
  readonly digest: Verify;
  isGood(signature: Buffer): boolean;
}

function candidatesOf(key: KeyObject): Candidate[] {
  const candidate = (scheme: SignatureScheme, options: object): Candidate => {
    const digest = createVerify('sha256');
    const isGood = (signature: Buffer): boolean => {
      try {
        return digest.verify({ key, ...options }, signature);
      } catch (error) {
        // Node says so when `r || s` does not have the length of the curve.
        if (hasCode(error, 'ERR_CRYPTO_OPERATION_FAILED')) return false;
        throw error;
      }
    };
    return { scheme, digest, isGood };
  };
  const pss = () =>
    candidate('rsa-pss', { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO });
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return [candidate('rsa-pkcs1', { padding: constants.RSA_PKCS1_PADDING }), pss()];
    case 'rsa-pss':
      return [pss()];
    case 'ec':
      return [candidate('ecdsa', { dsaEncoding: 'der' }), candidate('ecdsa', { dsaEncoding: 'ieee-p1363' })];
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
 * Verify the file. Reads it once, in chunks of 1 MiB, memory bounded; safe to repeat. Rejects with the signal's
 * reason when aborted, and with the file system's error when the file cannot be read.
 */
export async function verifySignature(options: SignatureOptions): Promise<SignatureVerdict> {
  const { imagePath, certificatePem, signatureBase64, allowPkcs1, signal } = options;
  signal.throwIfAborted();
  const text = readCertificates(certificatePem);
  if (!text.ok) return { ok: false, reason: 'certificate_unreadable' };
  const signature = readSignature(signatureBase64);
  if (!signature) return { ok: false, reason: 'signature_unreadable' };
  const candidates = candidatesOf(text.leaf.x509.publicKey);
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
