/**
 * What the smoke test does to the running containers: signed updates and a log upload by a plain MQTT 5 client through
 * the TLS listener, with a container killed during each update. Prints what it saw; exit code 1 when anything differs.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect as connectTcp, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { connectAsync } from 'mqtt';

const run = promisify(execFile);
const { MQTT_URL, CA_FILE, SECRETS, HTTP_URLS, HOST, PROJECT, WORK, DOCKER } = process.env;
const httpUrls = HTTP_URLS.split(',');
const apiKey = readFileSync(`${SECRETS}/api-key`, 'utf8').trim();
const SIGNED = ['Downloading', 'Downloaded', 'SignatureVerified', 'Installing', 'InstallRebooting', 'Installed'];
const PATIENCE_MS = 60_000;
const say = (text) => console.log(`${new Date().toISOString().slice(11, 23)}  ${text}`);
let failures = 0;
const check = (holds, what) => {
  say(`${holds ? 'ok' : 'NOT OK'}: ${what}`);
  if (!holds) failures += 1;
};
async function until(look, what) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await look();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await delay(50);
  }
}

const docker = async (...args) => (await run(DOCKER, args)).stdout.trim();
const containers = async () =>
  (await docker('ps', '-a', '--filter', `label=com.docker.compose.project=${PROJECT}`, '--format', '{{.Names}}'))
    .split('\n')
    .sort();
const isHealthy = async (name) => (await docker('inspect', '-f', '{{.State.Health.Status}}', name)) === 'healthy';

/** A charger's bridge in our place: fixed client id, a session that outlives the connection, QoS 1. */
async function station(name) {
  const prefix = `depot/${name}/everest_api/1/system/main`;
  const client = await connectAsync(MQTT_URL, {
    protocolVersion: 5,
    username: name,
    password: readFileSync(`${SECRETS}/stations/${name}/password`, 'utf8').trim(),
    ca: readFileSync(CA_FILE),
    clientId: name,
    clean: false,
    properties: { sessionExpiryInterval: 600 },
    reconnectPeriod: 300,
    keepalive: 10,
  });
  const heard = [];
  client.on('message', (topic, payload) => heard.push({ topic, text: String(payload), at: performance.now() }));
  client.on('error', () => {});
  await client.subscribeAsync(`depot/${name}/everest_api/#`, { qos: 1 });
  const statuses = (leaf, member, id) =>
    heard
      .filter(({ topic }) => topic === `${prefix}/m2e/${leaf}`)
      .map(({ text }) => JSON.parse(text))
      .filter((body) => body.request_id === id)
      .map((body) => body[member])
      // At least once: a repeat only directly after itself.
      .filter((status, index, all) => status !== all[index - 1]);
  const request = async (leaf, payload) => {
    const replyTo = `everest_api/1/system/main/m2e/reply/${randomUUID()}`;
    await client.publishAsync(`${prefix}/e2m/${leaf}`, JSON.stringify({ headers: { replyTo }, payload }), { qos: 1 });
    const reply = await until(
      () => heard.find(({ topic }) => topic === `depot/${name}/${replyTo}`),
      `reply to ${leaf}`,
    );
    return JSON.parse(reply.text);
  };
  let beat = 0;
  const heart = setInterval(() => {
    if (client.connected) client.publish(`${prefix}/e2m/heartbeat`, String(beat++), { qos: 1 });
  }, 1000);
  return {
    heard,
    request,
    firmware: (id) => statuses('firmware_update_status', 'firmware_update_status', id),
    logs: (id) => statuses('log_status', 'log_status', id),
    allow: () => client.publishAsync(`${prefix}/e2m/allow_firmware_installation`, 'true', { qos: 1 }),
    /** The longest silence between two communication checks since a moment, in seconds. */
    silenceSince: (from) => {
      const checks = heard.filter(({ topic }) => topic === `${prefix}/m2e/communication_check`).map(({ at }) => at);
      const since = checks.filter((at, index) => at > from || (checks[index + 1] ?? 0) > from);
      return Math.max(0, ...since.map((at, index) => at - (since[index - 1] ?? at))) / 1000;
    },
    raw: (topic, text) => client.publishAsync(topic, text, { qos: 1 }),
    close: async () => {
      clearInterval(heart);
      await client.endAsync(true);
    },
  };
}

async function rest(path) {
  for (const url of httpUrls) {
    try {
      const headers = { authorization: `Bearer ${apiKey}` };
      const response = await fetch(`${url}/v1${path}`, { headers, signal: AbortSignal.timeout(3000) });
      if (response.ok) return await response.json();
    } catch {
      // The other gateway.
    }
  }
  return undefined;
}

const origin = await startOrigin();
// The origin listens on loopback; containers come by the address of the bridge.
const door = createServer((inside) => {
  const outside = connectTcp(origin.port, '127.0.0.1');
  inside.pipe(outside).pipe(inside);
  const shut = () => {
    inside.destroy();
    outside.destroy();
  };
  inside.on('error', shut);
  outside.on('error', shut);
});
await new Promise((resolve) => door.listen(0, HOST, resolve));
const location = (path, bytes, behaviour) => {
  const url = new URL(origin.serve(path, bytes, behaviour));
  url.host = `${HOST}:${door.address().port}`;
  return url.href;
};
const signer = await makeSigner(`${WORK}/keys`);
const charger = await station('smoke-1');
const other = await station('smoke-2');
let id = 0;

/** One signed update; each act runs when the update is there and is waited for. */
async function update(what, acts = {}) {
  id += 1;
  const mine = id;
  const path = `/image-${mine}.bin`;
  const image = makeImage(1_500_000, `smoke ${mine}`);
  const request = { request_id: mine, location: location(path, image.bytes, { bytesPerSecond: 500_000 }) };
  const [began, from] = [Date.now(), performance.now()];
  const answer = await charger.request('update_firmware', { ...request, ...signer.signed(image.bytes) });
  check(answer === 'Accepted', `${what}: update ${mine} is ${answer} after ${Date.now() - began} ms`);
  await until(() => charger.firmware(mine).includes('Downloading'), 'Downloading');
  await acts.Downloading?.();
  await until(() => charger.firmware(mine).includes('SignatureVerified'), 'SignatureVerified');
  await acts.SignatureVerified?.();
  // Permission is one message: a gateway that is away when it comes gets it once it is back, within the session's life.
  await charger.allow();
  await until(() => charger.firmware(mine).includes('Installing'), 'Installing');
  await acts.Installing?.();
  await until(() => charger.firmware(mine).includes('Installed'), `Installed of ${mine}`);
  // EVerest reports a fault after 5 s, by its default.
  const silence = charger.silenceSince(from);
  const isHandedOver = /gateway/.test(what);
  check(!isHandedOver || silence < 5, `${what}: ${silence.toFixed(1)} s without a communication check at most`);
  const seen = charger.firmware(mine);
  check(seen.join() === SIGNED.join(), `${what}: ${seen.join(' > ')} in ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

try {
  await update('all well');
  const stationView = await rest('/stations/smoke-1');
  check(stationView?.station === 'smoke-1' || stationView !== undefined, 'the station is shown by REST');

  const reply = await charger.request('upload_logs', {
    request_id: 900,
    location: 's3://khumbu/logs/smoke-1/archive.tar.gz',
    type: 'DiagnosticsLog',
  });
  check(reply?.upload_logs_status === 'Accepted', `log upload is answered ${JSON.stringify(reply)}`);
  await until(() => charger.logs(900).includes('Uploaded'), 'Uploaded');
  check(true, `log upload: ${charger.logs(900).join(' > ')}`);

  // The ACL: what one station says below another's prefix reaches nobody, and it hears nothing of the other.
  await other
    .raw('depot/smoke-1/everest_api/1/system/main/m2e/firmware_update_status', '{"request_id":666}')
    .catch((error) => say(`the broker refuses: ${error.message}`));
  const spoken = await other.request('get_boot_reason');
  check(typeof spoken === 'string', `the other station is answered: ${spoken}`);
  check(!charger.heard.some(({ text }) => text.includes('666')), 'a station cannot speak below the prefix of another');
  check(
    other.heard.every(({ topic }) => topic.startsWith('depot/smoke-2/')),
    'nor hear what is meant for it',
  );

  const killAndStart = async (name) => {
    await docker('kill', name);
    await delay(500);
    await docker('start', name);
    await until(() => isHealthy(name), `${name} healthy again`);
    say(`${name} was killed and is healthy again`);
  };
  for (const name of await containers()) {
    await update(`docker kill ${name} while downloading`, { Downloading: () => killAndStart(name) });
  }
  for (const name of (await containers()).filter((one) => /gateway|ota-worker|redis/.test(one))) {
    await update(`docker kill ${name} while installing`, { Installing: () => killAndStart(name) });
  }
  // By its process: "docker kill" counts as a wish, and then no restart policy acts.
  const crash = async (name) => {
    process.kill(Number(await docker('inspect', '-f', '{{.State.Pid}}', name)), 'SIGKILL');
    await until(async () => (await docker('inspect', '-f', '{{.RestartCount}}', name)) !== '0', `${name} restarted`);
    await until(() => isHealthy(name), `${name} healthy again`);
    say(`${name} crashed and was started again by its restart policy`);
  };
  for (const name of (await containers()).filter((one) => /gateway-1|ota-worker|redis/.test(one))) {
    await update(`${name} crashes while permission is awaited`, { SignatureVerified: () => crash(name) });
  }
  const worker = (await containers()).find((one) => one.includes('ota-worker'));
  const newest = 'cd /var/lib/khumbu/chargers/smoke-1 && cat "$(ls state.*.json | sort -t. -k2 -n | tail -n 1)"';
  const { installCount } = JSON.parse(await docker('exec', worker, 'sh', '-c', newest));
  check(installCount === id, `${id} updates, ${installCount} installs`);
} catch (error) {
  failures += 1;
  say(`NOT OK: ${error.stack}; statuses: ${charger.firmware(id).join(' > ')}`);
} finally {
  await charger.close();
  await other.close();
  door.close();
  await origin.close();
}
say(failures === 0 ? 'everything held' : `${failures} did not hold`);
process.exit(failures === 0 ? 0 : 1);
