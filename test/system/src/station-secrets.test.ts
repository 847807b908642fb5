/** Secrets of a station that is reached by SSH: not in argument lists, environments, logs, errors, answers; at no moment. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import { stationText } from '@khumbu/station-drivers/station-text';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasSshd, overSsh, startSshd } from '@khumbu/test-support/sshd';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { startCluster } from './cluster.js';
import { connect, PATIENCE_MS } from './everest.js';

t.setTimeout(900_000);
/** Nobody gave them to the station: they are its own. */
const ITS_OWN = ['s3cret-of-url', 'tok-en-9f3b7', 'bearer-1a2b3c4d5e', '04A1B2C3D4E5F6'];
const ITS_WORDS =
  'curl: https://user:s3cret-of-url@host/x?token=tok-en-9f3b7, Authorization: Bearer bearer-1a2b3c4d5e, idTag 04A1B2C3D4E5F6';
const SECRETS = { apn_password: 'hush-"apn\\one', sim_pin: '80351927', key: 'hush the vpn $key' };

const bytesOf = (file: string): Buffer => {
  try {
    return readFileSync(file);
  } catch {
    // It ended meanwhile.
    return Buffer.alloc(0);
  }
};

/** Where a text is, in the arguments and environments of every process of this machine. */
function processesThatShow(texts: readonly string[]): readonly string[] {
  const files = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]);
  return files.filter((file) => {
    const bytes = bytesOf(file);
    return texts.some((text) => bytes.includes(text));
  });
}

/** As they are, and as JSON quotes them once and twice. */
const formsOf = (secret: string): readonly string[] => {
  const once = JSON.stringify(secret).slice(1, -1);
  return [...new Set([secret, once, JSON.stringify(once).slice(1, -1)])];
};

/** What these words are shown as in the logs of the depot. */
async function pseudonymOf(t: Test, redisUrl: string, words: string): Promise<string> {
  const redis = new Redis(redisUrl);
  t.teardown(() => redis.disconnect());
  const key = await redis.get('khumbu:redaction-key');
  if (key === null) throw new Error('the depot has no key of pseudonyms');
  return stationText(REDACTION_RULES, key).shown(words);
}

await t.test(
  'a network whose program tells everything',
  { skip: hasSshd() ? false : 'there is no sshd' },
  async (t) => {
    const dir = t.testdir({});
    const sshd = await startSshd({ dir: join(dir, 'sshd') });
    t.teardown(() => sshd.stop());
    const place = join(dir, 'charger');
    mkdirSync(place);
    const network = `
read -r request
printf '%s\\n' "$request" >'${place}/request.part'; mv '${place}/request.part' '${place}/request'
while [ ! -e '${place}/go' ]; do sleep 0.1; done
echo "cannot use $request" >&2
echo '${ITS_WORDS}' >&2
exit 1`;
    writeFileSync(join(place, 'network'), network);
    const driver: RealDriverEntry = {
      ...overSsh(sshd),
      state_dir: join(place, 'state'),
      profile: 'command',
      command: {
        install: ['false'],
        evidence: ['echo', '{"boot_id": "one", "healthy": true}'],
        network: ['sh', join(place, 'network')],
      },
    };
    const dataDir = join(dir, 'data');
    const cluster = await startCluster(t, { dataDir, stations: { gate: { driver } } });
    const privateKey = readFileSync(sshd.privateKeyFile, 'utf8').split('\n')[2] ?? '';
    t.ok(privateKey.length > 20);
    const texts = [...Object.values(SECRETS).flatMap(formsOf), privateKey];

    const client = await connect(t, cluster, 'gate', { heartbeatMs: 1000 });
    const { apn_password, sim_pin, key } = SECRETS;
    const { reply } = await client.request('configure_network', {
      request_id: 5,
      interface: 'Wireless0',
      apn: { apn: 'internet', apn_password, sim_pin },
      vpn: { server: 'vpn.example.org', type: 'IKEv2', key },
    });
    t.match(JSON.stringify(reply), /Processing/);
    await awaitUntil(() => existsSync(join(place, 'request')), PATIENCE_MS, 'the station to have the request');
    const given = JSON.parse(readFileSync(join(place, 'request'), 'utf8')) as { apn: object; vpn: object };
    t.match(given, { apn: { apn_password, sim_pin }, vpn: { key } }, 'it got them');
    t.same(processesThatShow(texts), [], 'while it is at work');

    writeFileSync(join(place, 'go'), '');
    const told = await client.messages.awaitItem(
      ({ leaf }) => leaf === 'configure_network_status',
      PATIENCE_MS,
      'a result',
    );
    t.match(told.json, { request_id: 5, status: 'Failed' });
    const answers = JSON.stringify(await cluster.get('/operations?station=gate'));
    t.match(answers, /cannot use/, 'what it said is told');
    const card = await pseudonymOf(t, cluster.endpoints.redisUrl, 'idTag 04A1B2C3D4E5F6');
    t.ok(answers.includes(card), `and what was taken out of it, as in logs of the depot: ${card}`);
    const said = client.messages.items.map(({ text }) => text).join('\n');
    const logs = readdirSync(join(dataDir, 'log')).map((name) => readFileSync(join(dataDir, 'log', name), 'utf8'));
    t.ok(logs.join('').includes('"station":"gate"'));
    for (const [where, text] of Object.entries({ answers, said, logs: logs.join('\n'), run: cluster.said() }))
      t.same(
        [...texts, ...ITS_OWN].filter((secret) => text.includes(secret)),
        [],
        where,
      );
    t.same(processesThatShow(texts), [], 'afterwards');
  },
);
