/** Ports that would be listened on: free, or held by Khumbu itself. */
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { Sight } from '../sight.js';

const { ok, wrong } = about('ports');

interface Wanted {
  readonly setting: string;
  readonly port: number;
  readonly host: string;
}

const LOOPBACK = '127.0.0.1';

function wanted({ kind, gateway, otaWorker, up }: Place): readonly Wanted[] {
  const of = (setting: string, port: number | undefined, host = LOOPBACK): Wanted[] =>
    port === undefined || port === 0 ? [] : [{ setting, port, host }];
  const rest = of('HTTP_PORT', gateway?.HTTP_PORT, gateway?.HTTP_HOST);
  if (kind === 'up')
    return [
      ...rest,
      ...of('MQTT_PORT', up?.MQTT_PORT),
      ...of('REDIS_PORT', up?.REDIS_PORT),
      ...of('S3_PORT', up?.S3_PORT),
    ];
  return [...rest, ...of('HEALTH_PORT', otaWorker?.HEALTH_PORT, otaWorker?.HEALTH_HOST)];
}

/** Whoever answers as a gateway or a worker of ours does. */
async function isOurs({ host, port }: Wanted, { url }: Place, sight: Sight): Promise<boolean> {
  const address = host === '0.0.0.0' || host === '::' ? LOOPBACK : host;
  const scheme = new URL(url).protocol;
  for (const base of [`${scheme}//${address}:${port}`, `http://${address}:${port}`]) {
    const live = await sight.get(`${base}/livez`).catch(() => undefined);
    if (typeof live?.body === 'object' && live.body !== null && 'live' in live.body) return true;
  }
  return false;
}

export async function lookAtPorts(place: Place, sight: Sight): Promise<Finding[]> {
  const all = wanted(place);
  const runs = place.kind === 'up' && all[0] !== undefined && (await isOurs(all[0], place, sight));
  const findings: Finding[] = [];
  for (const one of all) {
    const { setting, port, host } = one;
    const reason = await sight.whyPortIsTaken(port, host);
    if (reason === undefined || runs) continue;
    if (reason === 'EADDRINUSE' && (await isOurs(one, place, sight))) continue;
    const why = reason === 'EADDRINUSE' ? 'is taken by another program' : `cannot be listened on (${reason})`;
    findings.push(
      wrong(
        `port ${port} of ${host} (${setting}) ${why}`,
        `\`ss -ltnp 'sport = :${port}'\` names it; or choose another`,
      ),
    );
  }
  if (findings.length > 0) return findings;
  return [
    ok(`${all.map(({ port }) => port).join(', ') || 'none is fixed'}: ${runs ? 'held by khumbu up' : 'free, or ours'}`),
  ];
}
