/** What firmware is trusted against: manufacturer roots and CRLs from PEM files, read anew when the files change. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { type FileReports, followFile, textOf } from '@khumbu/shared/runtime/followed-file';
import { CertificateRevocationList } from 'pkijs';
import { Type } from 'typebox';
import { certificateFromDer, pemBlocks, type ReadCertificate } from './certificate.js';

export const TRUST_SETTINGS = {
  MANUFACTURER_ROOTS_FILE: Type.Optional(
    Type.String({ description: 'PEM file with the manufacturer root certificates; without it no chain is valid.' }),
  ),
  FIRMWARE_CRL_FILE: Type.Optional(
    Type.String({ description: 'PEM file with the CRLs of the authorities that sign firmware certificates.' }),
  ),
  ALLOW_PKCS1_SIGNATURES: Type.Boolean({
    default: true,
    description: 'Accept RSA PKCS#1 v1.5 signatures, as the tools of EVerest make them.',
  }),
} as const;

export interface TrustMaterial {
  readonly roots: readonly ReadCertificate[];
  readonly crls: readonly CertificateRevocationList[];
}

export interface TrustStore {
  /** The last good content of both files. */
  current(): TrustMaterial;
  close(): void;
}

/** Throws `TRUST_FILE_INVALID`: a bundle with nothing in it is as wrong as an unreadable one. */
function readBundle<T>(label: string, bytes: Buffer, fromDer: (der: Buffer) => T): T[] {
  const entries = pemBlocks(textOf(bytes), label).map(fromDer);
  if (entries.length === 0) throw new CodedError('TRUST_FILE_INVALID', `holds no PEM block "${label}"`);
  return entries;
}

const readRoots = (bytes: Buffer): ReadCertificate[] => readBundle('CERTIFICATE', bytes, certificateFromDer);

const readCrls = (bytes: Buffer): CertificateRevocationList[] =>
  readBundle('X509 CRL', bytes, (der) => CertificateRevocationList.fromBER(der));

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
