/** What Node itself says of a signature over the whole message: ours, over the digest, must say the same. For tests. */
import { constants, createVerify, type KeyObject } from 'node:crypto';
import { readCertificates } from '@khumbu/firmware-trust/certificate';
import { readSignature, type SignatureScheme, type SignatureVerdict } from '@khumbu/firmware-trust/signature';

interface Question {
  readonly certificatePem: string;
  readonly signatureBase64: string;
  readonly allowPkcs1: boolean;
  readonly message: Buffer;
}

const WAYS: Readonly<Record<string, readonly (readonly [SignatureScheme, object])[]>> = {
  rsa: [
    ['rsa-pkcs1', { padding: constants.RSA_PKCS1_PADDING }],
    ['rsa-pss', { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }],
  ],
  'rsa-pss': [['rsa-pss', {}]],
  ec: [
    ['ecdsa', { dsaEncoding: 'der' }],
    ['ecdsa', { dsaEncoding: 'ieee-p1363' }],
  ],
};

function isGood(key: KeyObject, options: object, message: Buffer, signature: Buffer): boolean {
  try {
    return createVerify('sha256')
      .update(message)
      .verify({ key, ...options }, signature);
  } catch (error) {
    // `r || s` of another length, or a key that SHA-256 may not be used with.
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ERR_CRYPTO_OPERATION_FAILED' || code.startsWith('ERR_OSSL_')) return false;
    throw error;
  }
}

export function nodeVerdict({ certificatePem, signatureBase64, allowPkcs1, message }: Question): SignatureVerdict {
  const text = readCertificates(certificatePem);
  if (!text.ok) return { ok: false, reason: 'certificate_unreadable' };
  const signature = readSignature(signatureBase64);
  if (!signature) return { ok: false, reason: 'signature_unreadable' };
  const key = text.leaf.x509.publicKey;
  const ways = WAYS[key.asymmetricKeyType ?? ''];
  const bound = key.asymmetricKeyDetails?.hashAlgorithm ?? 'sha256';
  if (!ways || bound !== 'sha256') return { ok: false, reason: 'key_type_unsupported' };
  const good = ways.find(([, options]) => isGood(key, options, message, signature));
  if (!good) return { ok: false, reason: 'signature_mismatch' };
  const [scheme] = good;
  return scheme === 'rsa-pkcs1' && !allowPkcs1 ? { ok: false, reason: 'pkcs1_not_allowed' } : { ok: true, scheme };
}
