/**
 * Files with certificates for TLS, read completely or not at all: OpenSSL takes what stands before the first damage, and
 * says nothing. What is used is what was read, written anew: OpenSSL passes over what it does not take for an entry.
 */
import { X509Certificate } from 'node:crypto';
import { describeError } from './errors.js';
import { type FileReports, type FollowedFile, followFile, textOf } from './followed-file.js';
import { type PemEntry, pemInvalid, pemOf, readPemEntries } from './pem.js';

/** It holds more than a certificate: OpenSSL takes it for an authority, and Node cannot read it alone. */
const TRUSTED = 'TRUSTED CERTIFICATE';
const LABELS = ['CERTIFICATE', 'X509 CERTIFICATE'];

export interface CertificateBundle {
  /** In order; without those that only OpenSSL can read. */
  readonly certificates: readonly X509Certificate[];
  /** All of them, for TLS. */
  readonly text: string;
}

function certificateOf({ name, bytes }: PemEntry): X509Certificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(bytes);
  } catch (error) {
    throw pemInvalid(`${name}: the certificate cannot be read: ${describeError(error)}`);
  }
  if (!certificate.raw.equals(bytes)) throw pemInvalid(`${name} has something behind its end`);
  return certificate;
}

/**
 * The certificates of a text. Entries with other labels, such as keys, must have both their lines and are left out; so is
 * text around the entries. Throws `PEM_INVALID` with the entry and its line, also where there is no certificate. Pure.
 */
export function readCertificateBundle(text: string): CertificateBundle {
  const entries = readPemEntries(text, {
    labels: [...LABELS, TRUSTED],
    passesOver: () => true,
    none: 'there is no certificate in it',
  });
  return {
    certificates: entries.filter(({ label }) => label !== TRUSTED).map(certificateOf),
    text: entries.map(({ label, bytes }) => pemOf(label, bytes)).join(''),
  };
}

/**
 * Follow a file of authorities for TLS connections; `current` is their text, for `ca`. `undefined`: none is set. Throws
 * `CONFIG_INVALID` for a bad file at the start.
 */
export function followAuthorities(
  setting: string,
  path: string | undefined,
  reports: FileReports,
): FollowedFile<string> | undefined {
  if (path === undefined) return undefined;
  const read = (bytes: Buffer): string => readCertificateBundle(textOf(bytes)).text;
  return followFile({ setting, path, read, code: 'CONFIG_INVALID', reports });
}
