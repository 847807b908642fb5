/** What firmware is trusted against: manufacturer roots and CRLs from PEM files, read anew when the files change. */
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { type FileReports, followFile, textOf } from '@khumbu/shared/runtime/followed-file';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { type Static, type TObject, Type } from 'typebox';
import { CERTIFICATE_LABELS, certificateFromDer, type ReadCertificate } from './certificate.js';
import type { ChainPolicy } from './chain.js';
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
      'Whether a signing certificate passes of which no usable CRL says if it is revoked (none, expired, of the future, forged); with a warning each time where FIRMWARE_CRL_FILE is set.',
  }),
  CERTIFICATE_STRENGTH: Type.Enum(['ocpp', 'legacy'], {
    default: 'ocpp',
    description:
      'Weakest cryptography of signing certificates. ocpp: RSA 2048, curves of 224 bits, SHA-256; legacy, for old fleets: RSA 1024, 192 bits, SHA-1.',
  }),
  ALLOW_PKCS1_SIGNATURES: Type.Boolean({
    default: true,
    description: 'Accept RSA PKCS#1 v1.5 signatures, as the tools of EVerest make them.',
  }),
} as const;
type TrustSettings = Readonly<Static<TObject<typeof TRUST_SETTINGS>>>;

/**
 * How strict the settings are. What lets weaker certificates pass than OCPP wants is logged as an error at every start: it
 * should not stay so.
 */
export function policyOf(
  config: Pick<TrustSettings, 'CERTIFICATE_STRENGTH' | 'REVOCATION_UNKNOWN' | 'FIRMWARE_CRL_FILE'>,
  log: Pick<Logger, 'error'>,
): Required<ChainPolicy> {
  const { CERTIFICATE_STRENGTH: strength, REVOCATION_UNKNOWN: revocationUnknown, FIRMWARE_CRL_FILE } = config;
  if (strength === 'legacy')
    log.error(
      { setting: 'CERTIFICATE_STRENGTH', value: strength },
      'weak cryptography is accepted: signing certificates with RSA of 1024 bits or SHA-1 can be forged',
    );
  if (revocationUnknown === 'refuse' && FIRMWARE_CRL_FILE === undefined)
    log.error({ setting: 'REVOCATION_UNKNOWN' }, 'every certificate chain is refused: FIRMWARE_CRL_FILE is not set');
  return { strength, revocationUnknown };
}

export interface TrustMaterial {
  readonly roots: readonly ReadCertificate[];
  readonly crls: readonly Crl[];
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
) {
  const follow = <T>(setting: string, path: string | undefined, read: (bytes: Buffer) => T[]) =>
    path === undefined ? undefined : followFile({ setting, path, read, code: 'TRUST_FILE_INVALID', reports, onChange });
  const none: TrustMaterial = { roots: [], crls: [] };
  const roots = follow('MANUFACTURER_ROOTS_FILE', files.rootsFile, readRoots);
  const crls = follow('FIRMWARE_CRL_FILE', files.crlFile, readCrls);
  return {
    /** The last good content of both files. The same lists as long as nothing changes. */
    current: (): TrustMaterial => ({ roots: roots?.current() ?? none.roots, crls: crls?.current() ?? none.crls }),
    close(): void {
      roots?.close();
      crls?.close();
    },
  };
}
export type TrustStore = ReturnType<typeof openTrustStore>;
