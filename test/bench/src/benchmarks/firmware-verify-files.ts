/**
 * As `firmware-verify`, by other schemes: vsftpd beside curl, OpenSSH's SFTP beside its own client, the depot's object store beside
 * curl with a presigned URL.
 */
import { chmodSync, copyFileSync, linkSync, mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { startVsftpd } from '@khumbu/test-support/vsftpd';
import { type Depot, startDepot } from '../depot.js';
import { type FirmwareOrigin, startFirmwareOrigin } from '../firmware-origin.js';
import type { BenchContext, Benchmark, Measured } from '../row.js';
import { interleaved } from '../stage.js';
import { type CommandTime, timedCommand } from '../timed-command.js';
import { warmMemory } from '../warm-memory.js';
import { ours } from './firmware-verify.js';

const SIZE = { full: 500_000_000, short: 20_000_000 } as const;
/** Beside a first one of ours that is not counted. */
const PAIRS = { full: 5, short: 1 } as const;
const PATIENCE_MS = 120_000;
const PRESIGNED_S = 900;

const VERIFY = 'openssl dgst -sha256 -verify "$KEY" -signature "$SIG" "$OUT"';
const CURL = `curl --fail --silent --output "$OUT" "$URL"; ${VERIFY}`;
const SFTP = `sftp -q -b - -i "$ID" -P "$PORT" -o "UserKnownHostsFile=$HOSTS" fw@127.0.0.1 <<END >/dev/null
get "$FROM" "$OUT"
END
${VERIFY}`;

interface Files {
  /** Number of the first update: each is of another station. */
  readonly from: number;
  readonly base: string;
  readonly home: string;
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

/** What is compared: a location of ours and what a command needs for the same bytes, new ones with each call. */
interface Compared {
  readonly from: number;
  readonly location: () => string;
  readonly command: string;
  readonly env: () => Promise<Readonly<Record<string, string>>>;
}

async function compare(
  context: BenchContext,
  depot: Depot,
  origin: FirmwareOrigin,
  { from, location, command, env }: Compared,
): Promise<Measured> {
  const place = { ...origin, location };
  const theirs = async (): Promise<CommandTime> => {
    warmMemory(context.dir, place.sizeBytes);
    const out = join(context.dir, 'fetched.bin');
    const { publicKeyFile: KEY, signatureFile: SIG } = origin.by('rsa-pkcs1');
    const time = await timedCommand(command, { ...(await env()), OUT: out, KEY, SIG });
    rmSync(out);
    return time;
  };
  await ours(context, depot, place, from);
  const pairs = await interleaved(PAIRS[context.effort], (n) => ours(context, depot, place, from + n + 1), theirs);
  return {
    ours: pairs.ours.map(({ seconds }) => seconds),
    baseline: pairs.baseline.map(({ seconds }) => seconds),
    notes: [`${SIZE[context.effort] / 1e6} MB; ours is on disk (fsync) before Downloaded`],
  };
}

/** One object: what came of it is gone each time, so it is fetched anew. */
async function compareStore(context: BenchContext, depot: Depot, origin: FirmwareOrigin, from: number) {
  const { s3Endpoint, s3Region, s3AccessKey, s3SecretKey, s3Bucket: bucket } = depot.endpoints;
  const keys = { S3_ACCESS_KEY: s3AccessKey, S3_SECRET_KEY: s3SecretKey };
  const objects = createObjectStore({ S3_ENDPOINT: s3Endpoint, S3_REGION: s3Region, S3_BUCKET: bucket, ...keys });
  const key = 'images/firmware.bin';
  const signal = AbortSignal.timeout(PATIENCE_MS);
  await objects.putFile({ bucket, key, contentType: 'application/octet-stream', path: origin.imageFile, signal });
  const URL = await objects.presignGet({ bucket, key }, PRESIGNED_S);
  const location = (): string => `s3://${bucket}/${key}`;
  return compare(context, depot, origin, { from, location, command: CURL, env: async () => ({ URL }) });
}

async function pairsOf(
  context: BenchContext,
  depot: Depot,
  origin: FirmwareOrigin,
  { from, base, home, command, env }: Files,
): Promise<Measured> {
  const first = join(home, 'firmware.bin');
  copyFileSync(origin.imageFile, first);
  chmodSync(first, 0o644);
  let asked = 0;
  const nextName = (): string => {
    asked += 1;
    linkSync(first, join(home, `firmware-${asked}.bin`));
    return `firmware-${asked}.bin`;
  };
  const location = (): string => `${base}/${nextName()}`;
  const ofName = async () => {
    const name = nextName();
    return { ...env, URL: `${base}/${name}`, FROM: name };
  };
  const measured = await compare(context, depot, origin, { from, location, command, env: ofName });
  rmSync(home, { recursive: true });
  return measured;
}

const below =
  (most: number) =>
  ({ ratio }: { readonly ratio: number | null }): boolean =>
    ratio !== null && ratio <= most;

export const firmwareVerifyFiles: Benchmark<'firmware-verify-ftp' | 'firmware-verify-sftp' | 'firmware-verify-s3'> = {
  rows: [
    {
      name: 'firmware-verify-ftp',
      unit: 's',
      baselineName: 'curl, then openssl dgst -verify',
      wanted: 'ratio <= 1.3',
      meets: below(1.3),
    },
    {
      name: 'firmware-verify-sftp',
      unit: 's',
      baselineName: 'sftp, then openssl dgst -verify',
      wanted: 'ratio <= 1.3',
      meets: below(1.3),
    },
    {
      name: 'firmware-verify-s3',
      unit: 's',
      baselineName: 'curl with a presigned URL, then openssl dgst -verify',
      wanted: 'ratio <= 1.2',
      meets: below(1.2),
    },
  ],
  async measure(context) {
    // Folders above the homes of the users must be open to them.
    const open = await mkdtemp(join(tmpdir(), 'khumbu-files-'));
    chmodSync(open, 0o755);
    context.teardown(() => rm(open, { recursive: true, force: true }));
    const ftp = await startVsftpd({ dir: join(open, 'ftp') });
    const sftp = await startSftpServer({ dir: join(open, 'sftp') });
    context.teardown(() => Promise.all([ftp.stop(), sftp.stop()]));
    const origin = await startFirmwareOrigin(context, context.dir, SIZE[context.effort]);
    mkdirSync(join(context.dir, 'depot'), { recursive: true });
    const depot = await startDepot(context, {
      dataDir: join(context.dir, 'depot'),
      env: { LOCATION_KNOWN_HOSTS_FILE: sftp.knownHostsFile, LOCATION_PRIVATE_KEY_FILE: sftp.privateKeyFile },
    });
    const ofFtp = {
      from: 0,
      base: `ftp://fw:${ftp.password}@127.0.0.1:${ftp.port}`,
      home: ftp.home,
      command: CURL,
      env: {},
    };
    const ofSftp = {
      from: 100,
      base: `sftp://fw@127.0.0.1:${sftp.port}/~`,
      home: sftp.home,
      command: SFTP,
      env: { ID: sftp.privateKeyFile, PORT: String(sftp.port), HOSTS: sftp.knownHostsFile },
    };
    return {
      'firmware-verify-ftp': await pairsOf(context, depot, origin, ofFtp),
      'firmware-verify-sftp': await pairsOf(context, depot, origin, ofSftp),
      'firmware-verify-s3': await compareStore(context, depot, origin, 200),
    };
  },
};
