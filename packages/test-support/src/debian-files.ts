/**
 * Programs of Debian packages that must not be installed where tests run: a time service would take the place of the one that
 * is there, a network service would take the network. Their files are brought into a folder, and nothing is set up.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BRING_MS = 240_000;
const LIBRARIES = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

/** FTP servers, which cannot be installed side by side, with the libraries that a Debian without servers lacks. */
export const FTP_SERVERS = {
  vsftpd: ['vsftpd', 'libwrap0'],
  proftpd: [
    'proftpd-core',
    'proftpd-mod-crypto',
    'libhiredis0.14',
    'libmemcached11',
    'libmemcachedutil2',
    'libhashkit2',
    'libpcre2-posix3',
    'libsodium23',
  ],
} as const;

export interface DebianFiles {
  readonly root: string;
  /** With it, and `PATH`, programs in there find their libraries. */
  readonly libraries: string;
  readonly path: string;
}

/** Kept from one run to the next. Resolves with why there are none: no Debian, no package. */
export async function debianFiles(packages: readonly string[]): Promise<DebianFiles | string> {
  if (!existsSync('/etc/debian_version')) return 'this is no Debian';
  const digest = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 16);
  const root = join(tmpdir(), `khumbu-debian-${process.getuid?.() ?? 0}-${digest}`);
  const found = {
    root,
    libraries: join(root, 'usr/lib', LIBRARIES),
    path: ['usr/sbin', 'usr/bin'].map((folder) => join(root, folder)).join(':'),
  };
  if (existsSync(root)) return found;
  const place = await mkdtemp(join(tmpdir(), 'khumbu-debian-'));
  const download = () => run('apt-get', ['download', ...packages], { cwd: place, timeout: BRING_MS });
  try {
    // The lists may be old, and its packages gone.
    await download().catch(async () => {
      await run('apt-get', ['update'], { timeout: BRING_MS });
      await download();
    });
    const files = join(place, 'files');
    await mkdir(files);
    for (const name of await readdir(place))
      if (name.endsWith('.deb')) await run('dpkg-deb', ['-x', join(place, name), files]);
    // Another test file may have been faster.
    await rename(files, root).catch((error: unknown) => {
      if (!existsSync(root)) throw error;
    });
    return found;
  } catch (error) {
    return `${packages.join(', ')} cannot be had: ${error instanceof Error ? error.message.split('\n')[0] : 'unknown'}`;
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
