/**
 * Many stations ask for one image by each scheme, two ota-workers do it, and the one that fetches is killed halfway: how
 * often does the image come over the line?
 */
import { chmodSync, chownSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Depot, startDepot } from '@khumbu/chaos/depot/depot';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { selfSigned } from '@khumbu/test-support/certificates';
import { awaitUntil } from '@khumbu/test-support/events';
import { startOrigin } from '@khumbu/test-support/origin';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { startVsftpd } from '@khumbu/test-support/vsftpd';
import { type FirmwareOrigin, startFirmwareOrigin } from '../firmware-origin.js';
import { ftpLine, ftpsLine, LINE_ADDRESS, passivePorts } from '../ftp-line.js';
import { askForUpdates, chargerNames, INSTALLED, watchFleet } from '../installs.js';
import { pacedLine } from '../paced-line.js';
import type { BenchContext, Benchmark, Measured } from '../row.js';
import { fetchesOf, postTo, startStations, WORKERS } from '../several-workers.js';

const SIZE = { full: 50_000_000, short: 3_000_000 } as const;
const STATIONS = { full: 200, short: 5 } as const;
/** Slow enough to be halfway when all have asked. */
const BYTES_PER_S = { full: 8_000_000, short: 500_000 } as const;
const PATIENCE_MS = 120_000;
const NAME = 'firmware.bin';

/** `ftps`: TLS by command; `ftps-at-once`: from the first byte on. */
const WAYS = ['http', 's3', 'ftp', 'ftps', 'ftps-at-once', 'sftp'] as const;
type Way = (typeof WAYS)[number];
type RowName = `fetch-once-${Way}`;

interface Place {
  readonly location: string;
  /** Bytes that came over the line so far. */
  readonly received: () => number;
}

/** An origin for each way, and the settings that workers need for them. */
async function startOrigins(context: BenchContext, image: FirmwareOrigin) {
  const pace = BYTES_PER_S[context.effort];
  // Folders above the homes of the users must be open to them.
  const open = await mkdtemp(join(tmpdir(), 'khumbu-once-'));
  chmodSync(open, 0o755);
  context.teardown(() => rm(open, { recursive: true, force: true }));
  const extensions = [`subjectAltName=IP:${LINE_ADDRESS}`];
  const certificate = await selfSigned(join(open, 'tls'), 'server', { extensions });
  const ftp = await startVsftpd({ dir: join(open, 'ftp') });
  context.teardown(() => ftp.stop());
  const sftp = await startSftpServer({ dir: join(open, 'sftp') });
  context.teardown(() => sftp.stop());
  const overTls = async (name: string, isImplicit: boolean) => {
    const { port, ports, config } = await passivePorts();
    const server = await startVsftpd({ dir: join(open, name), certificate, isImplicit, config, port });
    context.teardown(() => server.stop());
    const line = await ftpsLine(context, server.port, ports, pace);
    const location = `ftps://fw:${server.password}@${LINE_ADDRESS}:${line.port}/${NAME}`;
    return { server, place: { location, received: line.received } };
  };
  const byCommand = await overTls('ftps', false);
  const atOnce = await overTls('ftps-at-once', true);
  for (const { home, id } of [ftp, sftp, byCommand.server, atOnce.server]) {
    copyFileSync(image.imageFile, join(home, NAME));
    chownSync(join(home, NAME), id, id);
  }
  const origin = await startOrigin();
  context.teardown(() => origin.close());
  const byHttp = new URL(origin.serve(`/${NAME}`, readFileSync(image.imageFile)));
  const http = await pacedLine(context, () => Number(byHttp.port), pace);
  const sftpTo = await pacedLine(context, () => sftp.port, pace);
  const ftpTo = await ftpLine(context, ftp.port, pace);
  const knownHosts = join(context.dir, 'known_hosts');
  writeFileSync(knownHosts, `[127.0.0.1]:${sftpTo.port} ${sftp.hostPublicKey}\n`);
  const places: Readonly<Record<Exclude<Way, 's3'>, Place>> = {
    http: { location: `http://127.0.0.1:${http.port}${byHttp.pathname}`, received: http.received },
    ftp: { location: `ftp://fw:${ftp.password}@127.0.0.1:${ftpTo.port}/${NAME}`, received: ftpTo.received },
    ftps: byCommand.place,
    'ftps-at-once': atOnce.place,
    sftp: { location: `sftp://fw@127.0.0.1:${sftpTo.port}/~/${NAME}`, received: sftpTo.received },
  };
  return {
    places,
    env: {
      LOCATION_KNOWN_HOSTS_FILE: knownHosts,
      LOCATION_PRIVATE_KEY_FILE: sftp.privateKeyFile,
      LOCATION_CA_FILE: certificate.certificateFile,
    },
  };
}

/** In the depot's own store, to which the workers have a line as to the others. */
async function putIntoStore({ s3 }: Depot, image: FirmwareOrigin): Promise<string> {
  const { endpoint, region, bucket, accessKey, secretKey } = s3;
  const settings = { S3_ENDPOINT: endpoint, S3_REGION: region, S3_BUCKET: bucket };
  const objects = createObjectStore({ ...settings, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey });
  const [key, contentType] = [`images/${NAME}`, 'application/octet-stream'];
  const signal = AbortSignal.timeout(PATIENCE_MS);
  await objects.putFile({ bucket, key, contentType, path: image.imageFile, signal });
  return `s3://${bucket}/${key}`;
}

/** How often the image came over the line until all stations had it installed. */
async function once(
  context: BenchContext,
  depot: Depot,
  image: FirmwareOrigin,
  { location, received }: Place,
  stations: readonly string[],
): Promise<number> {
  const watch = await watchFleet(depot.mqttUrl, stations, INSTALLED);
  const post = (path: string, body: object): Promise<void> => postTo(depot, path, body);
  try {
    const before = received();
    const asking = askForUpdates(post, stations, () => ({ location, ...image.signed }));
    await awaitUntil(() => received() - before > image.sizeBytes / 2, PATIENCE_MS, 'half of the image');
    const killed = WORKERS.find((worker) => fetchesOf(depot, worker) > 0);
    if (killed === undefined) throw new Error('no worker fetches');
    depot.process(killed).kill();
    await asking;
    await watch.all;
    const times = (received() - before) / image.sizeBytes;
    context.say(`${location.split(':')[0]}: all Installed, ${killed} was killed, came ${times.toFixed(4)} times`);
    return times;
  } finally {
    watch.end();
  }
}

export const fetchOnce: Benchmark<RowName> = {
  rows: WAYS.map((way) => ({
    name: `fetch-once-${way}` as const,
    unit: 'x',
    baselineName: 'every station fetches for itself',
    wanted: 'ours <= 1.01',
    meets: ({ ours }) => ours !== null && ours <= 1.01,
  })),
  async measure(context) {
    const { dir, effort } = context;
    const count = STATIONS[effort];
    const image = await startFirmwareOrigin(context, dir, SIZE[effort]);
    const { places, env } = await startOrigins(context, image);
    let storePort = 0;
    const toStore = await pacedLine(context, () => storePort, BYTES_PER_S[effort]);
    // The dialect of the simulator.
    const station = { dialect: 'ocpp2.x' } as const;
    const depot = await startDepot(context, {
      dir: join(dir, 'depot'),
      services: ['gateway-1', ...WORKERS],
      simulated: { install_ms: 0, reboot: false },
      stations: Object.fromEntries(chargerNames(count).map((name) => [name, station])),
      proxies: false,
      env: {
        S3_ENDPOINT: `http://127.0.0.1:${toStore.port}`,
        ALLOWED_LOCATION_SCHEMES: 'http,s3,ftp,ftps,sftp',
        ...env,
        ...(effort === 'short' ? { JOB_LOCK_MS: '2000' } : {}),
      },
    });
    storePort = Number(new URL(depot.s3.endpoint).port);
    await depot.leader();
    await startStations(context, depot, count);
    const measured: Partial<Record<RowName, Measured>> = {};
    for (const way of WAYS) {
      const place =
        way === 's3' ? { location: await putIntoStore(depot, image), received: toStore.received } : places[way];
      const ours = [await once(context, depot, image, place, chargerNames(count))];
      measured[`fetch-once-${way}`] = { ours, baseline: [count] };
    }
    return measured;
  },
};
