/** Who may use which part of the object store. */
import { parseLocation } from '@khumbu/shared/locations/location';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { LOCATION_SETTINGS, locationRules } from '@khumbu/shared/locations/settings';
import {
  assertStoreAreas,
  type LocationUse,
  type StoreAreas,
  stationFolder,
} from '@khumbu/shared/locations/store-areas';
import { loadConfig, S3_SETTINGS } from '@khumbu/shared/runtime/config';
import t from 'tap';
import { Type } from 'typebox';

const AREAS: StoreAreas = { bucket: 'depot', logPrefixes: ['logs/{station}/'], firmwarePrefixes: ['images/'] };
const ask = (text: string, use: Partial<LocationUse>, areas: Partial<StoreAreas> = {}): string => {
  const rules = { allowedSchemes: ['s3'] as const, allowedHosts: [], allowLoopback: false };
  const policy = createLocationPolicy({ ...rules, store: { ...AREAS, ...areas } });
  const checked = policy.check(text, { for: 'logs', station: 'cs-1', origin: 'everest', ...use });
  if (!checked.ok) return checked.code;
  return checked.location.scheme === 's3' ? `${checked.location.bucket} ${checked.location.key}` : 'not s3';
};
const NOT_ALLOWED = 'LOCATION_KEY_NOT_ALLOWED';
const MALFORMED = 'LOCATION_MALFORMED';

void t.test('logs of a station go into its own folder; a folder around it means its own', async (t) => {
  const cases: Record<string, string> = {
    's3://depot/logs/cs-1/': 'depot logs/cs-1/',
    's3://depot/logs/cs-1/day/one.tgz': 'depot logs/cs-1/day/one.tgz',
    's3://depot/logs/cs%2D1/a%20b': 'depot logs/cs-1/a b',
    's3://depot/logs/cs-2/../cs-1/x': 'depot logs/cs-1/x',
    's3://depot/logs/': 'depot logs/cs-1/',
    's3://depot/': 'depot logs/cs-1/',
    's3://depot': 'depot logs/cs-1/',
    's3://depot/logs/x.tgz': NOT_ALLOWED,
    's3://depot/logs/cs-1': NOT_ALLOWED,
    's3://depot/logs/cs-2/': NOT_ALLOWED,
    's3://depot/logs/cs-2/x.tgz': NOT_ALLOWED,
    's3://depot/logs/cs-10/': NOT_ALLOWED,
    's3://depot/logs/cs-10/x.tgz': NOT_ALLOWED,
    's3://depot/logs/cs-1x': NOT_ALLOWED,
    's3://depot/logs/CS-1/x': NOT_ALLOWED,
    's3://depot/logs/cs-1/../cs-2/x': NOT_ALLOWED,
    's3://depot/logs/cs-1/%2e%2e/cs-2/x': NOT_ALLOWED,
    's3://depot/logs/cs-1/../../firmware/sha256/x': NOT_ALLOWED,
    's3://depot/firmware/': NOT_ALLOWED,
    's3://depot/firmware/sha256/x': NOT_ALLOWED,
    's3://depot/firm%77are/x': NOT_ALLOWED,
    's3://depot/images/x': NOT_ALLOWED,
    's3://depot/log/': NOT_ALLOWED,
    's3://depot/x.tgz': NOT_ALLOWED,
    's3://depot2/logs/cs-1/': NOT_ALLOWED,
    's3://depot2/': NOT_ALLOWED,
    's3://depot/logs/cs-1/..%2fcs-2/x': MALFORMED,
    's3://depot/logs/cs-1/..%2f..%2ffirmware/x': MALFORMED,
    's3://depot/logs/cs-1/%252e%252e/cs-2/x': MALFORMED,
    's3://depot/logs/cs-1/%252e%252e%252fcs-2/x': MALFORMED,
    's3://depot/logs/cs-1/%25252e%25252e/cs-2/x': MALFORMED,
    's3://depot/logs/cs-1/..%5ccs-2/x': MALFORMED,
    's3://depot/logs//cs-1/x': MALFORMED,
    's3://depot//logs/cs-1/x': MALFORMED,
    's3://depot/logs/cs-1//': MALFORMED,
    's3://depot/logs/cs-1/%00': MALFORMED,
    's3://depot/logs/cs-1/%7f': MALFORMED,
    's3://Depot/logs/cs-1/x': MALFORMED,
    's3://dep%6ft/logs/cs-1/x': MALFORMED,
    's3://depot:80/logs/cs-1/x': MALFORMED,
    's3://depot/logs/cs-1/x?versionId=1': MALFORMED,
    [`s3://depot/logs/cs-1/${'x'.repeat(1020)}`]: MALFORMED,
  };
  for (const [text, expected] of Object.entries(cases)) t.equal(ask(text, {}), expected, text.slice(0, 80));
});

void t.test(
  'images come from where the operator keeps them, never from logs or from what the depot keeps',
  async (t) => {
    const firmware = (text: string, areas: Partial<StoreAreas> = {}) => ask(text, { for: 'firmware' }, areas);
    const cases: Record<string, string> = {
      's3://depot/images/v2.bin': 'depot images/v2.bin',
      's3://depot/images/a/v2.bin#x': 'depot images/a/v2.bin',
      's3://depot/v2.bin': NOT_ALLOWED,
      's3://depot/images': NOT_ALLOWED,
      's3://depot/imagesx/v2.bin': NOT_ALLOWED,
      's3://depot/images/../logs/cs-1/x.tar.gz': NOT_ALLOWED,
      's3://depot/logs/cs-1/x.tar.gz': NOT_ALLOWED,
      's3://depot/logs/cs-2/x.tar.gz': NOT_ALLOWED,
      's3://depot/firmware/sha256/00': NOT_ALLOWED,
      's3://other/images/v2.bin': NOT_ALLOWED,
      's3://depot/images/': MALFORMED,
      's3://depot/': MALFORMED,
    };
    for (const [text, expected] of Object.entries(cases)) t.equal(firmware(text), expected, text);
    // The whole bucket, and another one: still not what stations put there.
    const wide = { firmwarePrefixes: ['s3://depot/', 's3://vendor/fw/', 'logs/released/'] };
    t.equal(firmware('s3://depot/v2.bin', wide), 'depot v2.bin');
    t.equal(firmware('s3://vendor/fw/v2.bin', wide), 'vendor fw/v2.bin');
    t.equal(firmware('s3://vendor/v2.bin', wide), NOT_ALLOWED);
    t.equal(firmware('s3://depot/logs/cs-2/x.tar.gz', wide), NOT_ALLOWED);
    t.equal(firmware('s3://depot/firmware/sha256/00', wide), NOT_ALLOWED);
    t.equal(
      firmware('s3://depot/logs/released/v2.bin', wide),
      'depot logs/released/v2.bin',
      'the more exact one counts',
    );
    t.equal(firmware('s3://depot/images/v2.bin', { firmwarePrefixes: [] }), NOT_ALLOWED);
  },
);

void t.test('who asks over REST may name any place but the depot’s own', async (t) => {
  for (const use of ['logs', 'firmware'] as const) {
    const rest = (text: string) => ask(text, { for: use, origin: 'rest' });
    t.equal(rest('s3://depot/anywhere/x'), 'depot anywhere/x');
    t.equal(rest('s3://other/x'), 'other x');
    for (const text of ['firmware', 'firmware/x', 'firmware/sha256/x', 'a/../firmware/x', 'firmw%61re/x'])
      t.equal(rest(`s3://depot/${text}`), NOT_ALLOWED, text);
    t.equal(rest('s3://depot/firmwares/x'), 'depot firmwares/x');
    t.equal(rest('s3://other/firmware/x'), 'other firmware/x');
  }
  t.equal(ask('s3://depot/logs/', { origin: 'rest' }), 'depot logs/');
});

void t.test('settings give stations more room, never that of the depot', async (t) => {
  const areas = { logPrefixes: ['in/{station}/raw/', 's3://archive/{station}/', 'logs/{station}/'] };
  t.equal(ask('s3://depot/in/cs-1/raw/x', {}, areas), 'depot in/cs-1/raw/x');
  t.equal(ask('s3://archive/cs-1/x', {}, areas), 'archive cs-1/x');
  t.equal(ask('s3://archive/cs-2/x', {}, areas), NOT_ALLOWED);
  t.equal(ask('s3://archive/', {}, areas), 'archive cs-1/');
  t.equal(ask('s3://depot/', {}, areas), 'depot in/cs-1/raw/', 'the first one');
  t.equal(ask('s3://depot/logs/', {}, areas), 'depot logs/cs-1/');
  const shared = { logPrefixes: ['s3://depot/'] };
  t.equal(ask('s3://depot/x', {}, shared), 'depot x');
  t.equal(ask('s3://depot/firmware/x', {}, shared), NOT_ALLOWED);
  t.equal(ask('s3://depot/logs/', {}, { logPrefixes: [] }), NOT_ALLOWED);
  for (const bad of ['logs', '/logs/', 'a//', 's3://depot/x', 's3://D/x/', 'a/../../x'])
    t.throws(() => assertStoreAreas({ ...AREAS, logPrefixes: [bad] }), { code: 'CONFIG_INVALID' }, bad);
  const schema = Type.Object({ ...LOCATION_SETTINGS, ...S3_SETTINGS });
  const config = loadConfig(schema, { STATION_LOG_PREFIXES: 's3://depot/in/{station}/, b/', S3_BUCKET: 'b-1' });
  t.match(locationRules(config).store, { bucket: 'b-1', logPrefixes: ['s3://depot/in/{station}/', 'b/'] });
  t.match(locationRules(loadConfig(schema, {})).store, { ...AREAS, bucket: 'khumbu' });
  t.throws(() => loadConfig(schema, { STATION_FIRMWARE_PREFIXES: 'images' }), { code: 'CONFIG_INVALID' });
});

void t.test('no two stations share a folder, and no folder is a path', async (t) => {
  const long = 'x'.repeat(300);
  const odd = [
    '.',
    '..',
    '...',
    '=2E',
    '=2E.',
    '__',
    '_',
    'a b',
    'a=20b',
    'a%20b',
    'a%2520b',
    'ä',
    'a\u0308',
    'A',
    'a',
  ];
  const names = [...odd, 'a\\b', '-', 'a:b', 's3://x', '{station}', long, `${long}x`, 'ü'.repeat(60), 'ü'.repeat(61)];
  const folders = names.map(stationFolder);
  t.equal(new Set(folders).size, names.length);
  for (const [index, folder] of folders.entries()) {
    t.match(folder, /^[A-Za-z0-9._=-]{1,200}$/, String(names[index]));
    t.notMatch(folder, /^\.+$/);
    const location = `s3://depot/logs/${folder}/x`;
    t.equal(ask(location, { station: names[index] as string }), `depot logs/${folder}/x`);
    t.match(parseLocation(location), { ok: true, location: { key: `logs/${folder}/x` } });
    for (const other of names)
      if (other !== names[index]) t.equal(ask(location, { station: other }), NOT_ALLOWED, `${other} in ${folder}`);
  }
  t.equal(stationFolder('cs-1.a_B'), 'cs-1.a_B');
});
