/** What is shipped says that the servers of the depot are no locations: every container, every service of a machine. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { LOCATION_SETTINGS, locationRules } from '@khumbu/shared/locations/settings';
import { loadConfig, S3_SETTINGS } from '@khumbu/shared/runtime/config';
import t from 'tap';
import { Type } from 'typebox';
import { parse } from 'yaml';

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../../${path}`, import.meta.url)), 'utf8');

interface Service {
  readonly environment?: Readonly<Record<string, string>>;
  readonly networks?: readonly string[];
}

/** As a service has it, but for its secrets. */
const policyOf = (given: Readonly<Record<string, string>>) => {
  const env = Object.fromEntries(Object.entries(given).filter(([name]) => !name.endsWith('_FILE')));
  const config = loadConfig(Type.Object({ ...LOCATION_SETTINGS, ...S3_SETTINGS }), env);
  return createLocationPolicy(locationRules({ ...env, ...config } as typeof config));
};

void t.test('no container is a location for what runs beside it, on no port', async (t) => {
  const { services } = parse(read('docker-compose.yml'), { merge: true }) as { services: Record<string, Service> };
  for (const name of ['gateway-1', 'gateway-2', 'ota-worker', 'log-worker']) {
    const { environment = {}, networks = [] } = services[name] ?? {};
    const policy = policyOf(environment);
    for (const [other, { networks: theirs = [] }] of Object.entries(services)) {
      if (!theirs.some((network) => networks.includes(network))) continue;
      for (const port of other === 'mosquitto' ? [8883, 8884] : [80, 8080]) {
        for (const url of [`http://${other}:${port}/x`, `http://${other.toUpperCase()}.:${port}/x`])
          t.notOk(policy.check(url).ok, `${name} to ${url}`);
      }
    }
    t.ok(policy.check('http://files.example:8080/x').ok);
  }
});

void t.test('no service of a machine is a location, at none of its addresses', async (t) => {
  const lines = read('infra/systemd/khumbu.env.example').split('\n');
  const env = Object.fromEntries(
    lines
      .filter((line) => /^[A-Z]/.test(line))
      .map((line) => [line.split('=', 1)[0] ?? '', line.replace(/^[^=]+=/, '')]),
  );
  const policy = policyOf({ ...env, ALLOW_LOOPBACK_LOCATIONS: 'true' });
  const ports = Array.from(read('docs/deployment.md').matchAll(/khumbu-[a-z-]+@(\d+)/g), ([, port]) => port);
  t.ok(ports.length >= 6, 'the instances of the manual');
  for (const port of [...ports, '8883', '8333']) {
    for (const host of ['localhost', '127.0.0.1', '[::1]', '0.0.0.0'])
      t.notOk(policy.check(`http://${host}:${port}/`).ok, `${host}:${port}`);
  }
});
