/** Files that settings name: there, whole, and secrets for their owner alone. */
import type { X509Certificate } from 'node:crypto';
import { readApiKeys } from '@khumbu/rest-contract/api-keys-file';
import { readCertificateBundle } from '@khumbu/shared/runtime/certificate-bundle';
import { describeError } from '@khumbu/shared/runtime/errors';
import { textOf } from '@khumbu/shared/runtime/followed-file';
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { Sight } from '../sight.js';

/** What stands in them opens something. */
const SECRETS = [
  'REDIS_URL_FILE',
  'MQTT_PASSWORD_FILE',
  'MQTT_CLIENT_ID_FILE',
  'S3_ACCESS_KEY_FILE',
  'S3_SECRET_KEY_FILE',
  'HTTPS_KEY_FILE',
  'OIDC_CLIENT_SECRET_FILE',
] as const;
const CERTIFICATES = [
  'HTTPS_CERT_FILE',
  'MQTT_CA_FILE',
  'OIDC_CA_FILE',
  'MANUFACTURER_ROOTS_FILE',
  'LOCATION_CA_FILE',
] as const;
const OTHERS_WRITE = 0o022;
const OTHERS = 0o077;
const DAY_MS = 86_400_000;
const SOON_DAYS = 21;

const octal = (mode: number): string => mode.toString(8).padStart(3, '0');

export async function lookAtKeys({ gateway, kind }: Place, sight: Sight): Promise<Finding[]> {
  const { ok, warning, wrong } = about('keys');
  const { API_KEYS_FILE: path, JWT_JWKS_URL, OIDC_ISSUER } = gateway ?? {};
  if (!gateway) return [];
  if (path === undefined)
    return (JWT_JWKS_URL ?? OIDC_ISSUER) === undefined
      ? [warning('API_KEYS_FILE is not set: REST is closed', 'khumbu keys add NAME --file FILE, and name it there')]
      : [ok(JWT_JWKS_URL === undefined ? 'people of a provider alone' : 'tokens of an issuer alone')];
  const facts = sight.fileAt(path);
  if (!facts?.isFile) {
    if (kind === 'up' && !facts) return [ok('khumbu up makes one at its first start')];
    return [wrong(`${path} (API_KEYS_FILE) is not there`, `khumbu keys add NAME --file ${path}`)];
  }
  const findings: Finding[] = [];
  // Only hashes stand in it: who reads them has no key. Who writes it has all.
  if ((facts.mode & OTHERS_WRITE) !== 0)
    findings.push(wrong(`${path} has mode ${octal(facts.mode)}: others can let themselves in`, `chmod 640 ${path}`));
  try {
    const keys = readApiKeys(sight.read(path));
    if (keys.length === 0)
      findings.push(warning(`${path} has no key: REST is closed`, `khumbu keys add NAME --file ${path}`));
    if (findings.length === 0) findings.push(ok(`${keys.length} in ${path}`));
  } catch (error) {
    findings.push(
      wrong(`${path}: ${describeError(error)}`, 'khumbu keys writes it; the last good content stays in use'),
    );
  }
  return findings;
}

export async function lookAtSecrets({ env }: Place, sight: Sight): Promise<Finding[]> {
  const { ok, wrong } = about('secrets');
  const named = SECRETS.flatMap((setting) => (env[setting] ? [{ setting, path: env[setting] }] : []));
  if (named.length === 0) return [];
  const findings = named.flatMap(({ setting, path }): Finding[] => {
    const facts = sight.fileAt(path);
    if (!facts?.isFile) return [wrong(`${path} (${setting}) is not there`, `write it, or correct ${setting}`)];
    if ((facts.mode & OTHERS) === 0) return [];
    return [wrong(`${path} (${setting}) has mode ${octal(facts.mode)}: others can read it`, `chmod 600 ${path}`)];
  });
  return findings.length > 0 ? findings : [ok(`${named.length} files, of their owner alone`)];
}

function judgeCertificates(setting: string, path: string, bytes: Buffer, nowMs: number): Finding[] {
  const { ok, warning, wrong } = about('certificates');
  const { certificates } = readCertificateBundle(textOf(bytes));
  const ends = certificates.map((one: X509Certificate) => Date.parse(one.validTo));
  const first = Math.min(...ends);
  const day = new Date(first).toISOString().slice(0, 10);
  if (first < nowMs) return [wrong(`${path} (${setting}): a certificate has expired on ${day}`, 'renew it')];
  if (first < nowMs + SOON_DAYS * DAY_MS) return [warning(`${path} (${setting}): one expires on ${day}`, 'renew it')];
  return [ok(`${setting} is good until ${day}`)];
}

export async function lookAtCertificates({ env }: Place, sight: Sight): Promise<Finding[]> {
  const { wrong } = about('certificates');
  return CERTIFICATES.flatMap((setting) => {
    const { [setting]: path } = env;
    if (!path) return [];
    try {
      return judgeCertificates(setting, path, sight.read(path), sight.now());
    } catch (error) {
      return [wrong(`${path} (${setting}): ${describeError(error)}`, `correct ${setting}, or what is in it`)];
    }
  });
}
