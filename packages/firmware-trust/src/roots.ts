/** What firmware is trusted against: manufacturer roots and CRLs from PEM files, read anew when the files change. */
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { type FileReports, followFile, textOf } from '@khumbu/shared/runtime/followed-file';
import { Type } from 'typebox';
import { CERTIFICATE_LABELS, certificateFromDer, type ReadCertificate } from './certificate.js';
import { type Crl, crlFromDer } from './crl.js';
import { readPem } from './pem.js';

export const TRUST_SETTINGS = {
  MANUFACTURER_ROOTS_FILE: Type.Optional(
    Type.String({ description: 'PEM file with the manufacturer root certificates; without it no chain is valid.' }),
  ),
  FIRMWARE_CRL_FILE: Type.Optional(
    Type.String({ description: 'PEM file with the CRLs of the authorities that sign firmware certificates.' }),
  ),
  REVOCATION_UNKNOWN: Type.Enum(['accept', 'refuse'], {
    default: 'accept',
    description:
      'What becomes of a signing certificate of which no usable CRL says whether it is revoked, because it has expired, is of the future, damaged or not there: accept it with a warning, or refuse it.',
  }),
  CERTIFICATE_STRENGTH: Type.Enum(['ocpp', 'legacy'], {
    default: 'ocpp',
    description:
      'Weakest cryptography of a signing certificate and its chain. ocpp: RSA 2048, curves of 224 bits, SHA-256. legacy, for old fleets only: RSA 1024, curves of 192 bits, SHA-1.',
  }),
  ALLOW_PKCS1_SIGNATURES: Type.Boolean({
    default: true,
    description: 'Accept RSA PKCS#1 v1.5 signatures, as the tools of EVerest make them.',
  }),
} as const;

export interface TrustMaterial {
  readonly roots: readonly ReadCertificate[];
  readonly crls: readonly Crl[];
}

export interface TrustStore {
  /** The last good content of both files. */
  current(): TrustMaterial;
  close(): void;
}

/** Throws `TRUST_FILE_INVALID`, which names the entry that is not whole: nothing of such a file is used. */
function readBundle<T>(labels: readonly string[], bytes: Buffer, fromDer: (der: Buffer) => T): T[] {
  let entry = '';
  try {
    return readPem(textOf(bytes), labels).map((pem) => {
      entry = `${pem.name}: `;
      return fromDer(pem.der);
    });
  } catch (error) {
    throw new CodedError('TRUST_FILE_INVALID', `${entry}${describeError(error)}`, { cause: error });
  }
}

/** Root certificates of PEM text. Throws `TRUST_FILE_INVALID`. */
export const readRoots = (bytes: Buffer): ReadCertificate[] =>
  readBundle(CERTIFICATE_LABELS, bytes, certificateFromDer);

/** Revocation lists of PEM text. Throws `TRUST_FILE_INVALID`. */
export const readCrls = (bytes: Buffer): Crl[] => readBundle(['X509 CRL'], bytes, crlFromDer);

/**
 * Open both files and follow their changes. A change that cannot be read keeps the last good content and is reported.
 * Throws `TRUST_FILE_INVALID` for a bad file at the start.
 */
export function openTrustStore(
  files: { readonly rootsFile?: string | undefined; readonly crlFile?: string | undefined },
  reports: FileReports,
  onChange?: () => void,
): TrustStore {
  const follow = <T>(setting: string, path: string | undefined, read: (bytes: Buffer) => T[]) =>
    path === undefined ? undefined : followFile({ setting, path, read, code: 'TRUST_FILE_INVALID', reports, onChange });
  const roots = follow('MANUFACTURER_ROOTS_FILE', files.rootsFile, readRoots);
  const crls = follow('FIRMWARE_CRL_FILE', files.crlFile, readCrls);
  return {
    current: () => ({ roots: roots?.current() ?? [], crls: crls?.current() ?? [] }),
    close() {
      roots?.close();
      crls?.close();
    },
  };
}
