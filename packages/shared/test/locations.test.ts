import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { addressKind } from '@khumbu/shared/locations/address';
import { parseLocation, publicLocation } from '@khumbu/shared/locations/location';
import { createLocationPolicy, type LocationRules } from '@khumbu/shared/locations/policy';
import { LOCATION_SETTINGS, locationRules } from '@khumbu/shared/locations/settings';
import { loadConfig, S3_SETTINGS } from '@khumbu/shared/runtime/config';
import t from 'tap';
import { Type } from 'typebox';

const rules = (changes: Partial<LocationRules> = {}): LocationRules => ({
  allowedSchemes: ['https', 'http', 's3'],
  allowedHosts: [],
  allowLoopback: false,
  ...changes,
});
const verdict = (text: string, changes: Partial<LocationRules> = {}): string => {
  const checked = createLocationPolicy(rules(changes)).check(text);
  return checked.ok ? 'ok' : checked.code;
};

void t.test('a location is read in one normal form', async (t) => {
  const parsed = parseLocation(' HTTPS://us%40er:p%3Ass@Depot.Example.:8443/a/../fw.bin?sig=1#khumbu ');
  if (!parsed.ok || parsed.location.scheme === 's3') return t.fail('not read');
  t.equal(parsed.location.url.href, 'https://depot.example.:8443/fw.bin?sig=1');
  t.match(parsed.location, {
    scheme: 'https',
    host: 'depot.example',
    port: 8443,
    credentials: { username: 'us@er', password: 'p:ss' },
    fragment: 'khumbu',
  });
  const bucket = parseLocation('s3://fw-images/stations/a%20b.raucb');
  t.same(bucket.ok && bucket.location, {
    scheme: 's3',
    bucket: 'fw-images',
    key: 'stations/a b.raucb',
    fragment: '',
  });
  const sftp = parseLocation('sftp://0x7f.1/x');
  t.match(sftp, { ok: true, location: { host: '127.0.0.1', port: 22 } }, 'hosts of other schemes are normalised too');
});

void t.test('the path of a location on a file server', async (t) => {
  const cases: [text: string, folder: string, name: string, fragment?: string][] = [
    ['ftp://h/fw.bin', '', 'fw.bin'],
    ['ftp://h/a/b/fw.bin', 'a/b', 'fw.bin'],
    ['ftp://h//srv/fw.bin', '/srv', 'fw.bin'],
    ['ftp://h/%2Fsrv/fw.bin', '/srv', 'fw.bin'],
    ['ftp://h//fw.bin', '/', 'fw.bin'],
    ['ftps://h/%2Ffw.bin', '/', 'fw.bin'],
    ['ftp://h/a//b/fw.bin', 'a/b', 'fw.bin'],
    ['ftp://h/my%20files/fw+1%2B2.bin', 'my files', 'fw+1+2.bin'],
    ['ftp://h/fw?v=1&x#2.bin', '', 'fw?v=1&x#2.bin'],
    ['ftp://h/fw%3Fv%231.bin', '', 'fw?v#1.bin'],
    ['ftp://h/fw.bin?', '', 'fw.bin?'],
    ['ftp://h/a?b/c#d/e', 'a?b/c#d', 'e'],
    ['ftp://h/%C3%BCber/%E2%82%AC.bin', 'über', '€.bin'],
    ['ftp://h/fw.bin;type=i', '', 'fw.bin'],
    ['ftp://h/fw.bin#disable_connectors_during_install=false', '', 'fw.bin', 'disable_connectors_during_install=false'],
    ['ftp://h/a/../b/%2e%2e/fw.bin', '', 'fw.bin'],
    ['ftp://h', '', ''],
    ['ftp://h/logs/', 'logs', ''],
    ['ftp://h/%2F', '/', ''],
    ['sftp://h/srv/fw.bin', '/srv', 'fw.bin'],
    ['sftp://h//srv/fw.bin', '/srv', 'fw.bin'],
    ['sftp://h/~/fw.bin', '', 'fw.bin'],
    ['sftp://h/~/a/fw.bin?x', 'a', 'fw.bin?x'],
    ['sftp://h/logs/', '/logs', ''],
    ['sftp://h/fw;type=i', '/', 'fw;type=i'],
  ];
  for (const [text, folder, name, fragment = ''] of cases) {
    const parsed = parseLocation(text);
    if (!parsed.ok || parsed.location.scheme === 's3') t.fail(text);
    else t.match(parsed.location, { path: { folder, name }, fragment }, text);
  }
  t.match(parseLocation('ftp://[fd00::1]:2121/x'), { ok: true, location: { host: 'fd00::1', port: 2121 } });
  t.match(parseLocation('ftp://us%40er:p%23%3F%2F%3A@h:21/x'), {
    location: { port: 21, credentials: { username: 'us@er', password: 'p#?/:' } },
  });
  for (const text of ['ftp://h/a%', 'ftp://h/%ff', 'sftp://h/a%0d%0ab', 'ftp://h/%00', 'ftp://us%0d%0aDELE:x@h/a'])
    t.match(parseLocation(text), { ok: false, code: 'LOCATION_MALFORMED' }, text);
});

void t.test('what cannot be a location is named, never repeated', async (t) => {
  const cases: [string, string][] = [
    ['', 'LOCATION_MALFORMED'],
    ['firmware.bin', 'LOCATION_MALFORMED'],
    ['http://', 'LOCATION_MALFORMED'],
    ['http://user:secret@ho st/x', 'LOCATION_MALFORMED'],
    ['http://host/a\nb', 'LOCATION_MALFORMED'],
    [`http://host/${'x'.repeat(9000)}`, 'LOCATION_MALFORMED'],
    ['http://a%:secret%zz@host/', 'LOCATION_MALFORMED'],
    ['file:///etc/shadow', 'LOCATION_SCHEME_UNKNOWN'],
    ['gopher://user:secret@host/', 'LOCATION_SCHEME_UNKNOWN'],
    ['s3://A/x', 'LOCATION_MALFORMED'],
    ['s3://ab..cd/x', 'LOCATION_MALFORMED'],
    ['s3://10.0.0.1/x', 'LOCATION_MALFORMED'],
    ['s3://key:secret@bucket/x', 'LOCATION_MALFORMED'],
    ['s3://bucket/%ff', 'LOCATION_MALFORMED'],
    ['https:user:secret@host/fw?sig=secret', 'LOCATION_MALFORMED'],
    ['https:/user:secret@host/fw', 'LOCATION_MALFORMED'],
    ['https:\\\\user:secret@host\\fw', 'LOCATION_MALFORMED'],
    ['https:/\\user:secret@host/fw', 'LOCATION_MALFORMED'],
    ['HTTPS:///user:secret@host/fw', 'LOCATION_MALFORMED'],
    ['sftp:user:secret@host/fw', 'LOCATION_MALFORMED'],
    ['s3:/bucket/key', 'LOCATION_MALFORMED'],
    ['s3:///bucket/key', 'LOCATION_MALFORMED'],
  ];
  for (const [text, code] of cases) {
    const parsed = parseLocation(text);
    t.match(parsed, { ok: false, code }, text.slice(0, 40));
    t.notMatch(JSON.stringify(parsed), /secret/);
  }
});

void t.test('a location is shown without what may be secret', async (t) => {
  const cases: [string, string][] = [
    ['https://host/fw.bin', 'https://host/fw.bin'],
    [' HTTPS://user:secret@host:8443/fw.bin?sig=secret#secret ', 'HTTPS://host:8443/fw.bin'],
    [`https://us'er:s"ecret@secret@host/it's?sig='secret'`, `https://host/it's`],
    [`https://host/fw?a='&sig=secret`, 'https://host/fw'],
    ['https://host/dir@v2/fw', 'https://host/dir@v2/fw'],
    ['s3://bucket/a/b', 's3://bucket/a/b'],
    ['https:user:secret@host/fw?sig=secret', 'https:'],
    ['https:/user:secret@host/fw', 'https:'],
    ['https:\\\\user:secret@host\\fw', 'https:'],
    ['https:///user:secret@host/fw', 'https:'],
    ['user secret', ''],
    ['', ''],
  ];
  for (const [text, shown] of cases) t.equal(publicLocation(text), shown, text);
});

void t.test('addresses by kind', async (t) => {
  const cases: Record<string, string> = {
    '10.1.2.3': 'public',
    '192.168.0.9': 'public',
    '172.16.0.1': 'public',
    'fd12::1': 'public',
    '2001:db8::1': 'public',
    '127.8.9.1': 'loopback',
    '::1': 'loopback',
    '::ffff:127.0.0.1': 'loopback',
    '::127.0.0.1': 'loopback',
    '64:ff9b::7f00:1': 'loopback',
    '2002:7f00:1::5': 'loopback',
    '169.254.7.7': 'link_local',
    'fe80::1%eth0': 'link_local',
    'febf::1': 'link_local',
    '169.254.169.254': 'metadata',
    '::ffff:a9fe:a9fe': 'metadata',
    'fd00:ec2::254': 'metadata',
    '100.100.100.200': 'metadata',
    '0.0.0.0': 'unspecified',
    '0.1.2.3': 'unspecified',
    '::': 'unspecified',
    '224.0.0.1': 'multicast',
    'ff02::1': 'multicast',
    '255.255.255.255': 'reserved',
    'not an address': 'reserved',
  };
  for (const [address, kind] of Object.entries(cases)) t.equal(addressKind(address), kind, address);
});

void t.test('forbidden addresses are refused in every spelling, unless listed', async (t) => {
  const forbidden = [
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[0:0:0:0:0:ffff:7f00:1]/',
    'http://localhost/',
    'http://LOCALHOST./',
    'http://a.localhost/',
    'http://0/',
    'http://[::]/',
    'http://169.254.169.254/latest/meta-data',
    'http://[fd00:ec2::254]/',
    'http://[fe80::1]/',
    'http://169.254.1.1/',
    'http://239.1.1.1/',
    'http://127。0。0。1/',
  ];
  for (const text of forbidden) t.equal(verdict(text), 'LOCATION_ADDRESS_FORBIDDEN', text);
  t.equal(verdict('http://127.0.0.1:9000/', { allowLoopback: true }), 'ok');
  t.equal(verdict('http://localhost/', { allowLoopback: true }), 'ok');
  t.equal(verdict('http://169.254.169.254/', { allowLoopback: true }), 'LOCATION_ADDRESS_FORBIDDEN');
  t.equal(verdict('http://169.254.1.1/', { allowedHosts: ['169.254.1.1'] }), 'ok');
  t.equal(verdict('http://127.0.0.1:9000/', { allowedHosts: ['127.0.0.1:9000'] }), 'ok');
  t.equal(verdict('http://[::ffff:127.0.0.1]:9000/', { allowedHosts: ['127.0.0.1:9000'] }), 'ok');
  t.equal(verdict('http://127.0.0.1:9001/', { allowedHosts: ['127.0.0.1:9000'] }), 'LOCATION_HOST_NOT_ALLOWED');
  t.equal(verdict('http://[::1]/', { allowedHosts: ['[::1]'] }), 'ok');
  t.equal(verdict('http://localhost/', { allowedHosts: ['localhost'] }), 'LOCATION_ADDRESS_FORBIDDEN');
  t.equal(verdict('http://10.0.0.1/'), 'ok');
});

void t.test('schemes and hosts', async (t) => {
  t.equal(verdict('ftp://files.example/x'), 'LOCATION_SCHEME_NOT_ALLOWED');
  t.equal(verdict('ftp://files.example/x', { allowedSchemes: ['ftp'] }), 'ok');
  t.equal(verdict('http://files.example/x', { allowedSchemes: ['https', 's3'] }), 'LOCATION_SCHEME_NOT_ALLOWED');
  t.equal(verdict('s3://bucket/x', { allowedHosts: ['files.example'] }), 'ok');
  const allowedHosts = ['Files.Example', '*.cdn.example', 'odd.example:8443'];
  const cases: [string, string][] = [
    ['https://files.example/x', 'ok'],
    ['https://files.example.:444/x', 'ok'],
    ['https://sub.files.example/x', 'LOCATION_HOST_NOT_ALLOWED'],
    ['https://a.b.cdn.example/x', 'ok'],
    ['https://cdn.example/x', 'LOCATION_HOST_NOT_ALLOWED'],
    ['https://evilcdn.example/x', 'LOCATION_HOST_NOT_ALLOWED'],
    ['https://odd.example:8443/x', 'ok'],
    ['https://odd.example/x', 'LOCATION_HOST_NOT_ALLOWED'],
    ['https://files.example@evil.example/x', 'LOCATION_HOST_NOT_ALLOWED'],
    ['https://10.0.0.1/x', 'LOCATION_HOST_NOT_ALLOWED'],
  ];
  for (const [text, expected] of cases) t.equal(verdict(text, { allowedHosts }), expected, text);
  t.throws(() => createLocationPolicy(rules({ allowedHosts: ['a:b:c'] })), { code: 'CONFIG_INVALID' });
});

void t.test('after DNS', async (t) => {
  const names: Record<string, string[]> = {
    'good.example': ['10.0.0.7', '2001:db8::7'],
    'rebind.example': ['127.0.0.1'],
    'mixed.example': ['fe80::1', '10.0.0.8'],
    'meta.example': ['169.254.169.254'],
  };
  const policyWith = (changes: Partial<LocationRules> = {}) =>
    createLocationPolicy(rules(changes), (hostname, _options, done) => {
      const found = names[hostname];
      if (!found) return done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []);
      done(
        null,
        found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
    });
  const ask = (hostname: string, all: boolean, changes: Partial<LocationRules> = {}) =>
    new Promise<unknown>((resolve) => {
      policyWith(changes).lookupFor(80)(hostname, { all }, (error, address, family) =>
        resolve(error ? error.code : all ? address : [address, family]),
      );
    });
  t.same(await ask('good.example', true), [
    { address: '10.0.0.7', family: 4 },
    { address: '2001:db8::7', family: 6 },
  ]);
  t.same(await ask('good.example', false), ['10.0.0.7', 4]);
  t.same(await ask('mixed.example', true), [{ address: '10.0.0.8', family: 4 }]);
  t.same(await ask('mixed.example', false), ['10.0.0.8', 4]);
  for (const all of [true, false]) {
    t.equal(await ask('rebind.example', all), 'LOCATION_ADDRESS_FORBIDDEN');
    t.equal(await ask('meta.example', all, { allowLoopback: true }), 'LOCATION_ADDRESS_FORBIDDEN');
    t.equal(await ask('absent.example', all), 'ENOTFOUND');
  }
  t.equal(
    await ask('rebind.example', true, { allowedHosts: ['rebind.example'] }),
    'LOCATION_ADDRESS_FORBIDDEN',
    'a listed name lends its right to no address',
  );
  t.same(await ask('rebind.example', false, { allowedHosts: ['127.0.0.1'] }), ['127.0.0.1', 4]);
  t.same(await ask('rebind.example', false, { allowLoopback: true }), ['127.0.0.1', 4]);
});

void t.test('inside a real connection', async (t) => {
  const server = createServer((_request, response) => response.end('reached'));
  server.listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const url = `http://localhost:${(server.address() as AddressInfo).port}/`;
  const reach = (allowLoopback: boolean) =>
    new Promise<string>((resolve) => {
      const lookup = createLocationPolicy(rules({ allowLoopback })).lookupFor(Number(new URL(url).port));
      get(url, { lookup, agent: false }, (response) => response.resume().on('end', () => resolve('reached'))).on(
        'error',
        (error: NodeJS.ErrnoException) => resolve(error.code ?? ''),
      );
    });
  t.equal(await reach(true), 'reached');
  t.equal(await reach(false), 'LOCATION_ADDRESS_FORBIDDEN');
});

void t.test('settings', async (t) => {
  const schema = Type.Object(LOCATION_SETTINGS);
  t.same(loadConfig(schema, {}), {
    ALLOWED_LOCATION_SCHEMES: ['https', 'http', 's3', 'ftps', 'ftp', 'sftp'],
    ALLOWED_LOG_SCHEMES: ['ftp', 'ftps', 'http', 'https', 's3'],
    ALLOWED_LOCATION_HOSTS: [],
    ALLOW_LOOPBACK_LOCATIONS: false,
    FORBIDDEN_LOCATION_HOSTS: [],
    STATION_LOG_PREFIXES: ['logs/{station}/'],
    STATION_FIRMWARE_PREFIXES: ['images/'],
  });
  t.match(
    loadConfig(schema, { ALLOWED_LOCATION_SCHEMES: 'https, s3', ALLOWED_LOCATION_HOSTS: '*.a.example,b:81,[::1]:9' }),
    { ALLOWED_LOCATION_SCHEMES: ['https', 's3'], ALLOWED_LOCATION_HOSTS: ['*.a.example', 'b:81', '[::1]:9'] },
  );
  for (const env of [{ ALLOWED_LOCATION_SCHEMES: 'file' }, { ALLOWED_LOCATION_HOSTS: 'http://x' }])
    t.throws(() => loadConfig(schema, env), { code: 'CONFIG_INVALID' });
});

void t.test('logs have schemes of their own, among those of all locations', (t) => {
  const config = loadConfig(Type.Object({ ...LOCATION_SETTINGS, ...S3_SETTINGS }), {
    ALLOWED_LOCATION_SCHEMES: 'https,ftps,ftp,sftp',
    ALLOWED_LOG_SCHEMES: 'https,ftps,sftp,s3',
  });
  const policy = createLocationPolicy(locationRules(config));
  const codeFor = (scheme: string, use: 'logs' | 'firmware'): string => {
    const found = policy.check(`${scheme}://depot.example/x`, { for: use, station: 'cs-1', origin: 'rest' });
    return found.ok ? 'ok' : found.code;
  };
  const NOT = 'LOCATION_SCHEME_NOT_ALLOWED';
  const schemes = ['https', 'http', 'ftps', 'ftp', 'sftp', 's3'];
  t.same(
    schemes.map((scheme) => codeFor(scheme, 'logs')),
    ['ok', NOT, 'ok', NOT, 'ok', NOT],
  );
  t.same(
    schemes.map((scheme) => codeFor(scheme, 'firmware')),
    ['ok', NOT, 'ok', 'ok', 'ok', NOT],
  );
  t.end();
});
