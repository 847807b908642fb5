/**
 * The signing certificate as EVerest sends it: PEM, leaf first, intermediates may follow. On the way it may have
 * lost its line breaks: as literal `\n` sequences, as CRLF, or altogether.
 */
import { X509Certificate } from 'node:crypto';
import { Certificate } from 'pkijs';

/** One certificate in both forms: OpenSSL's for keys and signatures, the parsed one for dates and extensions. */
export interface ReadCertificate {
  readonly x509: X509Certificate;
  readonly parsed: Certificate;
}

export type CertificateText =
  | { readonly ok: true; readonly leaf: ReadCertificate; readonly intermediates: readonly ReadCertificate[] }
  | { readonly ok: false; readonly code: 'CERTIFICATE_UNREADABLE'; readonly reason: string };

/** OCPP allows 5500 characters; chains of real manufacturers stay far below this. */
const MAX_CHARACTERS = 64 * 1024;
const MAX_CERTIFICATES = 8;

const unreadable = (reason: string): CertificateText => ({ ok: false, code: 'CERTIFICATE_UNREADABLE', reason });

/** The DER bytes of every PEM block with this label, in order. White space inside a block does not matter. Pure. */
export function pemBlocks(text: string, label: string): Buffer[] {
  const lines = text.replace(/\\r\\n|\\n|\\r/g, '\n');
  const blocks = lines.matchAll(new RegExp(`-----BEGIN ${label}-----([^-]*)-----END ${label}-----`, 'g'));
  return [...blocks].map((block) => Buffer.from((block[1] ?? '').replace(/\s+/g, ''), 'base64'));
}

/** Throws what OpenSSL or the ASN.1 parser throws. */
export const certificateFromDer = (der: Buffer): ReadCertificate => ({
  x509: new X509Certificate(der),
  parsed: Certificate.fromBER(der),
});

/** Read PEM text. Text outside the blocks is ignored, as OpenSSL does. Pure. */
export function readCertificates(pemText: string): CertificateText {
  if (pemText.length > MAX_CHARACTERS) return unreadable(`longer than ${MAX_CHARACTERS} characters`);
  const blocks = pemBlocks(pemText, 'CERTIFICATE');
  if (blocks.length === 0) return unreadable('no PEM certificate in it');
  if (blocks.length > MAX_CERTIFICATES) return unreadable(`more than ${MAX_CERTIFICATES} certificates`);
  const certificates: ReadCertificate[] = [];
  for (const der of blocks) {
    try {
      certificates.push(certificateFromDer(der));
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      return unreadable(`certificate ${certificates.length + 1} cannot be read: ${what}`);
    }
  }
  const [leaf, ...intermediates] = certificates;
  return leaf ? { ok: true, leaf, intermediates } : unreadable('no PEM certificate in it');
}
