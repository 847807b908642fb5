/** The certificate of the REST API and its key, followed: a pair that fits is used for new connections. */
import { createPrivateKey } from 'node:crypto';
import { readCertificateBundle } from '@khumbu/shared/runtime/certificate-bundle';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { type FileReports, followFile, textOf } from '@khumbu/shared/runtime/followed-file';
import type { GatewayConfig } from '../config.js';

export interface HttpsPair {
  readonly cert: string;
  readonly key: string;
}

export type HttpsCertificate = NonNullable<ReturnType<typeof openHttpsCertificate>>;

const CODE = 'CONFIG_INVALID';
const mismatch = new CodedError(CODE, 'HTTPS_KEY_FILE: it is not the key of the certificate in HTTPS_CERT_FILE');

function readChain(bytes: Buffer) {
  const {
    certificates: [leaf],
    text,
  } = readCertificateBundle(textOf(bytes));
  if (!leaf) throw new CodedError(CODE, 'there is no certificate in it');
  return { text, leaf };
}

function readKey(bytes: Buffer) {
  const text = textOf(bytes);
  try {
    return { text, key: createPrivateKey(text) };
  } catch (error) {
    throw new CodedError(CODE, `it is no private key that can be used: ${describeError(error)}`, { cause: error });
  }
}

/**
 * Two files are never written at once: what does not fit together yet is reported, and the last pair that did stays in use.
 * `undefined`: HTTPS is not set up. Throws `CONFIG_INVALID` for half of it, and for files that cannot be used at the start.
 */
export function openHttpsCertificate(
  { HTTPS_CERT_FILE: certFile, HTTPS_KEY_FILE: keyFile }: Pick<GatewayConfig, 'HTTPS_CERT_FILE' | 'HTTPS_KEY_FILE'>,
  reports: FileReports,
) {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined)
    throw new CodedError(CODE, 'HTTPS_CERT_FILE and HTTPS_KEY_FILE belong together');
  let renew = (_pair: HttpsPair): void => undefined;
  const pairOf = (cert: ReturnType<typeof readChain>, key: ReturnType<typeof readKey>): HttpsPair => {
    if (!cert.leaf.checkPrivateKey(key.key)) throw mismatch;
    return { cert: cert.text, key: key.text };
  };
  const onChange = (): void => {
    try {
      pair = pairOf(chain.current(), key.current());
      renew(pair);
      reports.usable('HTTPS_KEY_FILE');
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      reports.unusable('HTTPS_KEY_FILE', error);
    }
  };
  const rules = { code: CODE, reports, onChange };
  const chain = followFile({ setting: 'HTTPS_CERT_FILE', path: certFile, read: readChain, ...rules });
  const key = followFile({ setting: 'HTTPS_KEY_FILE', path: keyFile, read: readKey, ...rules });
  let pair = pairOf(chain.current(), key.current());
  return {
    /** The last good pair. */
    current: (): HttpsPair => pair,
    /** `use` is called with each pair that takes the place of the last one. */
    onRenewal(use: (pair: HttpsPair) => void): void {
      renew = use;
    },
    close(): void {
      chain.close();
      key.close();
    },
  };
}
