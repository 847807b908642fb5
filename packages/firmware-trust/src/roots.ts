/** What firmware is trusted against: manufacturer roots and CRLs from PEM files, read anew when the files change. */
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
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
function readBundle<T>(name: string, label: string, path: string, fromDer: (der: Buffer) => T): T[] {
  try {
    const entries = pemBlocks(readFileSync(path, 'utf8'), label).map(fromDer);
    if (entries.length > 0) return entries;
  } catch (error) {
    throw new CodedError('TRUST_FILE_INVALID', `${name} cannot be read: ${describeError(error)}`);
  }
  throw new CodedError('TRUST_FILE_INVALID', `${name} holds no PEM block "${label}"`);
}

const readRoots = (path: string): ReadCertificate[] =>
  readBundle('MANUFACTURER_ROOTS_FILE', 'CERTIFICATE', path, certificateFromDer);

const readCrls = (path: string): CertificateRevocationList[] =>
  readBundle('FIRMWARE_CRL_FILE', 'X509 CRL', path, (der) => CertificateRevocationList.fromBER(der));

/** The folder is watched, not the file: editors and config maps replace the file by renaming another over it. */
function watchFile(path: string, onTouched: () => void, onProblem: (error: unknown) => void): FSWatcher {
  const watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
    if (name === null || name === basename(path) || name.startsWith('..')) onTouched();
  });
  return watcher.on('error', onProblem);
}

/**
 * Open both files and follow their changes. A change that cannot be read keeps the last good content and is reported.
 * Throws `TRUST_FILE_INVALID` for a bad file at the start.
 */
export function openTrustStore(
  files: { readonly rootsFile?: string | undefined; readonly crlFile?: string | undefined },
  onProblem: (error: unknown) => void,
  onChange: () => void = () => {},
): TrustStore {
  const { rootsFile, crlFile } = files;
  let material: TrustMaterial = {
    roots: rootsFile === undefined ? [] : readRoots(rootsFile),
    crls: crlFile === undefined ? [] : readCrls(crlFile),
  };
  const follow = (path: string, read: () => Partial<TrustMaterial>): FSWatcher =>
    watchFile(
      path,
      () => {
        try {
          material = { ...material, ...read() };
          onChange();
        } catch (error) {
          onProblem(error);
        }
      },
      onProblem,
    );
  const watchers = [
    ...(rootsFile === undefined ? [] : [follow(rootsFile, () => ({ roots: readRoots(rootsFile) }))]),
    ...(crlFile === undefined ? [] : [follow(crlFile, () => ({ crls: readCrls(crlFile) }))]),
  ];
  return {
    current: () => material,
    close: () => {
      for (const watcher of watchers) watcher.close();
    },
  };
}
