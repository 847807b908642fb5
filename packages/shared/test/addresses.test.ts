/** Which addresses may be connected to: ranges, and the servers of the depot itself. */
import { networkInterfaces } from 'node:os';
import { addressKind, endsOf, normalAddress } from '@khumbu/shared/locations/address';
import { createOwnServers, ownListener, ownServer } from '@khumbu/shared/locations/own-servers';
import { createLocationPolicy, type LocationRules } from '@khumbu/shared/locations/policy';
import { LOCATION_SETTINGS, locationRules } from '@khumbu/shared/locations/settings';
import { loadConfig, S3_SETTINGS } from '@khumbu/shared/runtime/config';
import t from 'tap';
import { Type } from 'typebox';

/** Every way to write an IPv4 address into an IPv6 one. */
function carriers(ipv4: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = ipv4.split('.').map(Number);
  const hex = (...bytes: number[]): string => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const head = hex(a, b);
  const tail = hex(c, d);
  return [
    `::ffff:${head}:${tail}`,
    `::ffff:${ipv4}`,
    `0:0:0:0:0:FFFF:${head}:${tail}`,
    `::ffff:0:${head}:${tail}`,
    `::${head}:${tail}`,
    `64:ff9b::${head}:${tail}`,
    `64:ff9b:1::${head}:${tail}`,
    `64:ff9b:1:abcd:12:34:${head}:${tail}`,
    `64:ff9b:1:${head}:${hex(0, c)}:${hex(d, 0)}::`,
    `64:ff9b:1:${hex(7, a)}:${hex(0, b)}:${tail}::`,
    `64:ff9b:1:7:${hex(0, a)}:${hex(b, c)}:${hex(d, 0)}:0`,
    `2002:${head}:${tail}::5`,
    `2001:0:${head}:${tail}:8000:1:f5ff:fff8`,
    `2001:0:4136:e378:8000:63bf:${hex(a ^ 0xff, b ^ 0xff)}:${hex(c ^ 0xff, d ^ 0xff)}`,
  ];
}

const FORBIDDEN: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.1', '127.255.255.254'],
  link_local: ['169.254.0.1', '169.254.170.2', '169.254.255.254'],
  metadata: ['169.254.169.254', '100.100.100.200', '168.63.129.16', '192.0.0.192'],
  multicast: ['224.0.0.1', '239.255.255.255'],
  reserved: ['240.0.0.1', '255.255.255.255', '192.0.0.8'],
};

void t.test('a forbidden IPv4 address is of its kind in every form that carries it', async (t) => {
  for (const [kind, addresses] of Object.entries(FORBIDDEN)) {
    for (const ipv4 of addresses) {
      for (const address of [ipv4, ...carriers(ipv4)]) t.equal(addressKind(address), kind, `${ipv4} as ${address}`);
    }
  }
  for (const address of ['0.0.0.0', '0.255.255.255', '::ffff:0.0.0.0', '64:ff9b::', '64:ff9b:1::', '2002::', '::7'])
    t.equal(addressKind(address), 'unspecified', address);
});

void t.test('IPv6 addresses of their own', async (t) => {
  const kinds: Record<string, string> = {
    '::': 'unspecified',
    '::1': 'loopback',
    '0:0:0:0:0:0:0:1%lo': 'loopback',
    'fe80::1%eth0': 'link_local',
    'febf:ffff::1': 'link_local',
    'ff02::1': 'multicast',
    'fd00:ec2::254': 'metadata',
    'FD20:CE:0::254': 'metadata',
    '100::1': 'reserved',
    'not an address': 'reserved',
    '127.1': 'reserved',
    '0x7f.0.0.1': 'reserved',
  };
  for (const [address, kind] of Object.entries(kinds)) t.equal(addressKind(address), kind, address);
});

void t.test('addresses that depots live in are left alone, carried or not', async (t) => {
  const ipv4 = ['10.0.0.7', '172.16.0.1', '192.168.1.1', '100.64.0.1', '100.127.255.254', '8.8.8.8', '198.18.0.1'];
  const inIpv6 = (address: string): string[] => carriers(address).filter((one) => !one.startsWith('64:ff9b:1:'));
  for (const address of ipv4.flatMap((one) => [one, ...inIpv6(one)])) t.equal(addressKind(address), 'public', address);
  for (const address of ['fd12::1', '2001:db8::1', '2a00::1', '64:ff9b:1::a00:7', 'fd00:ec2::255'])
    t.equal(addressKind(address), 'public', address);
});

void t.test('one address has one spelling', async (t) => {
  for (const one of ['::ffff:7f00:1', '::FFFF:127.0.0.1', '127.0.0.1']) t.equal(normalAddress(one), '127.0.0.1', one);
  t.equal(normalAddress('2001:DB8:0:0::1%eth0'), '2001:db8::1');
  t.equal(normalAddress('Files.Example'), 'files.example');
  t.same(endsOf('64:ff9b::a00:7'), ['64:ff9b::a00:7', '10.0.0.7']);
  t.same(endsOf('files.example'), []);
});

const SCHEMES = ['https', 'http', 's3'] as const;
const NAMES: Readonly<Record<string, readonly string[]>> = {
  redis: ['172.20.0.3'],
  s3: ['172.20.0.4', 'fd12::4'],
  'alias.example': ['172.20.0.3'],
  'files.example': ['10.0.0.7'],
  'two.example': ['172.20.0.3', '10.0.0.8'],
  'nat64.example': ['64:ff9b::ac14:3'],
  'dev.example': ['127.0.0.9'],
};
const policyOf = (changes: Partial<LocationRules>, names = NAMES) =>
  createLocationPolicy(
    { allowedSchemes: SCHEMES, allowedHosts: [], allowLoopback: false, ...changes },
    (hostname, _options, done) => {
      const found = names[hostname];
      if (!found) return done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []);
      done(
        null,
        found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
    },
  );
const FORBIDDEN_CODE = 'LOCATION_ADDRESS_FORBIDDEN';

void t.test('our own servers are no locations, by name and by address, whatever is allowed', async (t) => {
  const forbiddenHosts = [
    'redis:6379',
    's3:8333',
    '172.20.0.9:8080',
    '[fd12::9]:443',
    '*.depot.internal',
    'whole.host',
  ];
  const allowedHosts = ['redis', '*.internal', '172.20.0.0', '172.20.0.3', 'whole.host', '172.20.0.9', 'alias.example'];
  for (const changes of [{}, { allowLoopback: true }, { allowedHosts }]) {
    const policy = policyOf({ forbiddenHosts, ...changes });
    const named = [
      'http://redis:6379/x',
      'http://REDIS.:6379/',
      'http://172.20.0.9:8080/',
      'http://[::ffff:172.20.0.9]:8080/',
      'http://[64:ff9b::ac14:9]:8080/',
      'https://[fd12:0::9]/',
      'http://a.depot.internal:81/',
      'http://whole.host:81/',
      'https://whole.host/',
    ];
    for (const location of named) t.match(policy.check(location), { ok: false, code: FORBIDDEN_CODE }, location);
    // Which address a name has is known only when it is asked for.
    for (const location of [
      'http://172.20.0.3:6379/',
      'http://[::ffff:ac14:3]:6379/',
      'http://[64:ff9b::ac14:3]:6379/',
    ])
      t.match(await policy.checkNow(location), { ok: false }, location);
  }
  const policy = policyOf({ forbiddenHosts });
  for (const location of ['http://redis:6380/', 'http://172.20.0.3/', 'http://files.example:6379/'])
    t.match(await policy.checkNow(location), { ok: true }, location);
});

void t.test('a name that leads to a server of ours is refused inside the connection', async (t) => {
  const policy = policyOf({ forbiddenHosts: ['redis:6379', 's3:8333', 'gone:6379'], allowLoopback: true });
  const ask = (host: string, port: number) =>
    new Promise<unknown>((resolve) => {
      policy.lookupFor(port)(host, { all: true }, (error, found) => resolve(error ? error.code : found));
    });
  t.equal(await ask('alias.example', 6379), FORBIDDEN_CODE);
  t.equal(await ask('nat64.example', 6379), FORBIDDEN_CODE);
  t.same(await ask('two.example', 6379), [{ address: '10.0.0.8', family: 4 }], 'the good address is used');
  t.match(await ask('alias.example', 80), [{ address: '172.20.0.3' }], 'another port is another server');
  t.match(await ask('files.example', 6379), [{ address: '10.0.0.7' }]);
});

void t.test('while DNS is silent about a server of ours, what it said last counts', async (t) => {
  let now = 0;
  let answer: () => Promise<readonly string[]> = async () => ['172.20.0.3'];
  const own = createOwnServers(
    ['redis:6379'],
    () => answer(),
    () => now,
  );
  const seen = async (): Promise<boolean[]> => [
    await own.isBehind('172.20.0.3', 6379),
    await own.isBehind('172.20.0.5', 6379),
  ];
  t.same(await seen(), [true, false]);
  const silences: (() => Promise<readonly string[]>)[] = [
    () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })),
    () => Promise.reject(Object.assign(new Error('try again'), { code: 'EAI_AGAIN' })),
    () => new Promise(() => undefined),
  ];
  for (const silence of silences) {
    now += 60_000;
    answer = silence;
    t.same(await seen(), [true, false]);
  }
  now += 60_000;
  answer = async () => ['172.20.0.5'];
  t.same(await seen(), [false, true], 'it has moved');
});

void t.test('what listens on this machine is a server of ours at each of its addresses', async (t) => {
  const outside = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const local = [
    '127.0.0.1',
    '127.9.9.9',
    '[::1]',
    'localhost',
    'a.localhost',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '[::]',
  ];
  local.push(...outside.map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address)));
  for (const server of ['127.0.0.1:6379', 'localhost:6379', '0.0.0.0:6379', '[::]:6379', '[::1]:6379']) {
    const policy = policyOf({ forbiddenHosts: [server], allowLoopback: true });
    for (const host of local) t.notOk(policy.check(`http://${host}:6379/`).ok, `${server} at ${host}`);
    for (const host of ['127.0.0.1', 'localhost', '[::1]'])
      t.ok(policy.check(`http://${host}:8099/`).ok, `${host} at another port`);
    const found = await new Promise((resolve) => {
      policy.lookupFor(6379)('dev.example', { all: true }, (error) => resolve(error?.code));
    });
    t.equal(found, FORBIDDEN_CODE);
  }
});

void t.test('settings tell where our own servers are', async (t) => {
  const urls: Record<string, string | undefined> = {
    'redis://:secret@redis': 'redis:6379',
    'rediss://user:secret@[fd12::1]:7000/2': '[fd12::1]:7000',
    'mqtts://broker.example': 'broker.example:8883',
    'mqtt://127.0.0.1:1883': '127.0.0.1:1883',
    'http://s3': 's3:80',
    'https://s3.example': 's3.example:443',
    'unix:///run/redis.sock': undefined,
    '/run/redis.sock': undefined,
  };
  for (const [url, entry] of Object.entries(urls)) t.equal(ownServer(url), entry, url);
  t.equal(ownListener('::', 8080), '[::]:8080');
  t.equal(ownListener('127.0.0.1', 0), undefined, 'the port is not known');
  const schema = Type.Object({ ...LOCATION_SETTINGS, ...S3_SETTINGS });
  const config = loadConfig(schema, { FORBIDDEN_LOCATION_HOSTS: 'gateway-1:8080,*.depot' });
  const servers = {
    REDIS_URL: 'redis://:secret@redis:6379',
    S3_ENDPOINT: 'http://s3:8333',
    MQTT_URL: 'mqtts://broker',
  };
  const listener = { HTTP_HOST: '0.0.0.0', HTTP_PORT: 8080, HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 9101 };
  const rules = locationRules({ ...config, ...servers, ...listener, S3_PUBLIC_ENDPOINT: 'https://logs.example' });
  t.same(rules.forbiddenHosts, [
    'redis:6379',
    'broker:8883',
    's3:8333',
    'logs.example:443',
    '0.0.0.0:8080',
    '127.0.0.1:9101',
    'gateway-1:8080',
    '*.depot',
  ]);
  t.ok(createLocationPolicy(rules));
});
