/** What is in the data folder beside what is kept: the stations file, the API key and other secrets. */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { DataDir } from './data-dir.js';

const STATIONS = `# Which station is reached how. Read again when this file changes.
# Here every station that speaks is taken for a simulated one; never use this line with real chargers.
unknown_stations: simulated
defaults:
  interfaces:
    Wired0: eth0
    Wireless0: wwan0
`;

/** The path of the stations file, written once and never touched again. */
export function stationsFile(dataDir: DataDir): string {
  const path = dataDir.at('stations.yaml');
  if (!existsSync(path)) writeFileSync(path, STATIONS);
  return path;
}

/** Read a secret of this data folder, or make it: readable by its owner alone. */
function secret(dataDir: DataDir, name: string, make: () => string): string {
  const file = dataDir.at(name);
  const stored = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  const text = stored === '' ? make() : stored;
  if (stored === '') writeFileSync(file, `${text}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
  return text;
}

/** The client id of the gateways, which is the only key to their session: the broker asks for no password. */
export const gatewayClientId = (dataDir: DataDir): string =>
  secret(dataDir, 'mqtt-client-id', () => `khumbu-${randomBytes(24).toString('hex')}`);

/**
 * The API key of this data folder, made once (`api-key`, readable by its owner alone), and the file with its hash that
 * services read (`api-keys.json`).
 */
export function apiKey(dataDir: DataDir): { readonly key: string; readonly hashesFile: string } {
  const key = secret(dataDir, 'api-key', () => `khumbu_${randomBytes(24).toString('base64url')}`);
  const hashesFile = dataDir.at('api-keys.json');
  const sha256 = createHash('sha256').update(key).digest('hex');
  const entry = { name: 'local', sha256, scopes: ['read', 'operate', 'admin'] };
  writeFileSync(hashesFile, `${JSON.stringify([entry], undefined, 2)}\n`, { mode: 0o600 });
  return { key, hashesFile };
}
