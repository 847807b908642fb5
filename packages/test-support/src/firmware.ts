/** Firmware images and their signatures, as an update request carries them. */
import { constants, createCipheriv, createHash, createSign } from 'node:crypto';
import { type IssuedCertificate, type KeyKind, selfSigned } from './certificates.js';

/**
 * Bytes that look random and are the same for the same size and seed. With `disableConnectors` the image carries
 * EVerest's metadata block with that answer. The digest is lower-case hex.
 */
export function makeImage(sizeBytes: number, seed = 'image', disableConnectors?: boolean) {
  const key = createHash('sha256').update(seed).digest();
  const bytes = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
  if (disableConnectors !== undefined) {
    const block = `===== BEGIN METADATA =====\ndisable_connectors_during_install=${disableConnectors}\n===== END METADATA =====\n`;
    bytes.write(block, 0, 'latin1');
  }
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

export type SignatureScheme = 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa';

const KEY_OF: Record<SignatureScheme, KeyKind> = { 'rsa-pkcs1': 'rsa', 'rsa-pss': 'rsa', ecdsa: 'ecdsa' };

/** Sign the whole image over its SHA-256: base64, as in `signature` of the request. */
function signImage(image: Uint8Array, keyPem: string, scheme: SignatureScheme): string {
  const signer = createSign('sha256').update(image);
  if (scheme !== 'rsa-pss') return signer.sign(keyPem, 'base64');
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return signer.sign({ key: keyPem, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, 'base64');
}

/** A signer with a key of its own and a certificate that vouches for itself; give one from an authority instead. */
export async function makeSigner(dir: string, scheme: SignatureScheme = 'ecdsa', issued?: IssuedCertificate) {
  const certificate = issued ?? (await selfSigned(dir, `signer-${scheme}`, { key: KEY_OF[scheme] }));
  const sign = (image: Uint8Array): string => signImage(image, certificate.keyPem, scheme);
  return {
    certificate,
    sign,
    /** The two members a signed request has. */
    signed: (image: Uint8Array) => ({ signing_certificate: certificate.certificatePem, signature: sign(image) }),
  };
}
export type FirmwareSigner = Awaited<ReturnType<typeof makeSigner>>;
