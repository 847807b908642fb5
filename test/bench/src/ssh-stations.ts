/** Stations behind one real SSH server, each with a folder of its own, whose install does nothing; and OpenSSH's client. */
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { SERVICE_FLAGS } from '@khumbu/embedded-run/cluster';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { FirmwareImage } from '@khumbu/station-drivers/port';
import { overSsh, type Sshd, startSshd } from '@khumbu/test-support/sshd';
import { type Remote, startRemote } from './load/remote.js';
import type { BenchContext } from './row.js';
import { timedCommand } from './timed-command.js';

const EVIDENCE = 'echo \'{"boot_id": "b1", "healthy": true}\'';
const PIECE_BYTES = 10_000_000;

export interface SshStations {
  readonly sshd: Sshd;
  readonly worker: Remote;
  /** Seconds of `scp` to so many stations, one after the other, each followed by `sha256sum` there. */
  readonly scp: (image: FirmwareImage, stations: number) => Promise<number>;
}

export function makeSshImage(dir: string, sizeBytes: number): FirmwareImage {
  const path = join(dir, 'image');
  const hash = createHash('sha256');
  writeFileSync(path, '');
  for (let rest = sizeBytes; rest > 0; rest -= PIECE_BYTES) {
    const piece = randomBytes(Math.min(rest, PIECE_BYTES));
    appendFileSync(path, piece);
    hash.update(piece);
  }
  return { path, sizeBytes, sha256: hash.digest('hex') };
}

/** Entries of so many stations behind one server, with a folder each. Equal ones would share a connection. */
export async function sshEntries(
  cleanup: Cleanup,
  dir: string,
  count: number,
): Promise<{ readonly sshd: Sshd; readonly entries: readonly RealDriverEntry[] }> {
  mkdirSync(dir, { recursive: true });
  const sshd = await startSshd({
    dir: join(dir, 'sshd'),
    config: ['Subsystem sftp internal-sftp'],
  });
  cleanup.teardown(() => sshd.stop());
  const entries = Array.from(
    { length: count },
    (_none, index): RealDriverEntry => ({
      ...overSsh(sshd),
      state_dir: join(dir, `station-${index}`),
      profile: 'command',
      command: { install: ['true'], evidence: ['sh', '-c', EVIDENCE] },
      limits: { connect_s: 60 + index, keep_alive_s: 30 },
    }),
  );
  return { sshd, entries };
}

export async function startSshStations(context: BenchContext, count: number, name = 'ssh'): Promise<SshStations> {
  const dir = join(context.dir, name);
  const { sshd, entries } = await sshEntries(context, dir, count);
  const worker = await startRemote(context, 'ssh-worker', SERVICE_FLAGS['ota-worker']);
  await worker.call('use', entries);
  return {
    sshd,
    worker,
    scp: async (image, stations) => {
      const out = join(dir, 'scp');
      const options = `-q -i '${sshd.privateKeyFile}' -o UserKnownHostsFile='${sshd.knownHostsFile}' -o BatchMode=yes`;
      const each = `scp ${options} -P ${sshd.port} "$IMAGE" "$HOST:$OUT-$n"; ssh ${options} -p ${sshd.port} "$HOST" sha256sum "$OUT-$n" | grep -q "^$SUM "`;
      const script = `for n in $(seq ${stations}); do ${each}; done`;
      const env = { IMAGE: image.path, HOST: `${sshd.user}@127.0.0.1`, OUT: out, SUM: image.sha256 };
      const { seconds } = await timedCommand(script, env);
      for (let n = 1; n <= stations; n += 1) await rm(`${out}-${n}`);
      return seconds;
    },
  };
}
