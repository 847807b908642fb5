/** What a person finds in the data folder and may use or edit: the API key and the stations file. */
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

/**
 * The API key of this data folder, made once (`api-key`, readable by its owner alone), and the file with its hash that
 * services read (`api-keys.json`).
 */
export function apiKey(dataDir: DataDir): { readonly key: string; readonly hashesFile: string } {
  const keyFile = dataDir.at('api-key');
  const stored = existsSync(keyFile) ? readFileSync(keyFile, 'utf8').trim() : '';
  const key = stored === '' ? `khumbu_${randomBytes(24).toString('base64url')}` : stored;
  if (stored === '') writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  chmodSync(keyFile, 0o600);
  const hashesFile = dataDir.at('api-keys.json');
  const sha256 = createHash('sha256').update(key).digest('hex');
  const entry = { name: 'local', sha256, scopes: ['read', 'operate', 'admin'] };
  writeFileSync(hashesFile, `${JSON.stringify([entry], undefined, 2)}\n`, { mode: 0o600 });
  return { key, hashesFile };
}
