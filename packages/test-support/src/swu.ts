/** Images for SWUpdate (`.swu`): a description, its signature, and what is in it, signed by the key of a test station. */
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface SwuOptions {
  readonly version: string;
  readonly hardware: string;
  readonly sizeBytes: number;
  /** More members of the description of its image, as libconfig. */
  readonly members: string;
  /** Nothing but the image: a description without scripts. */
  readonly bare: boolean;
  /** It sets these variables of the bootloader; `SLOT` stands for the slot. */
  readonly variables: Readonly<Record<string, string>>;
  /** Signed by a key that the station does not know. */
  readonly stranger: boolean;
  /** Its image is written in two halves; between them it waits until `hold` is read, a named pipe in the station's folder. */
  readonly halves: boolean;
  /** So many zeros follow the archive. */
  readonly paddingBytes: number;
  /** One byte of its image is another one than what was signed. */
  readonly damaged: boolean;
}

/** Waits before anything is written, and fails after it when it is told so. */
const script = (dir: string): string => `#!/bin/sh
D='${dir}'
case $1 in
preinst)
  echo install >>"$D/begun"
  while [ ! -e "$D/go" ]; do [ -d "$D" ] || exit 1; sleep 0.05; done
  rm -f "$D/go"
  ;;
postinst)
  [ -e "$D/post-fails" ] || exit 0
  if [ "$(cat "$D/running")" = a ]; then fw_setenv slot b; else fw_setenv slot a; fi
  exit "$(cat "$D/post-fails")"
  ;;
esac
`;

const DEFAULTS: SwuOptions = {
  version: '1.0',
  hardware: '1.0',
  sizeBytes: 1_000_000,
  members: '',
  bare: false,
  variables: { slot: 'SLOT', upgrade_available: '1' },
  stranger: false,
  halves: false,
  paddingBytes: 0,
  damaged: false,
};

interface Part {
  readonly name: string;
  readonly bytes: Buffer;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** What a slot begins with once that image is in it: its version, in a line; then bytes that are the same for the same name. */
export function swuContent(name: string, change: Partial<Pick<SwuOptions, 'version' | 'sizeBytes'>> = {}): Buffer {
  const { version, sizeBytes } = { ...DEFAULTS, ...change };
  const key = createHash('sha256').update(name).digest();
  const noise = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
  return Buffer.concat([Buffer.from(`${version}\n`), noise]);
}

function describe(dir: string, parts: readonly Part[], tool: Part, options: SwuOptions): string {
  const { version, hardware, members, bare, variables } = options;
  const copy = (slot: string): string => {
    let offset = 0;
    const images = parts.map(({ name, bytes }) => {
      const device = name === 'hold.img' ? join(dir, 'hold') : join(dir, `slot-${slot}`);
      const at = name === 'hold.img' || offset === 0 ? '' : `offset = "${offset}";`;
      offset += name === 'hold.img' ? 0 : bytes.length;
      return `{ filename = "${name}"; device = "${device}"; type = "raw"; sha256 = "${sha256(bytes)}"; ${at} ${members} }`;
    });
    const scripts = `scripts: ( { filename = "${tool.name}"; type = "shellscript"; sha256 = "${sha256(tool.bytes)}"; } );`;
    const sets = Object.entries(variables).map(
      ([name, value]) => `{ name = "${name}"; value = "${value.replace('SLOT', slot)}"; }`,
    );
    const bootenv = sets.length === 0 ? '' : `bootenv: ( ${sets.join(', ')} );`;
    return `copy-${slot}: { images: ( ${images.join(', ')} ); ${bare ? '' : scripts} ${bootenv} };`;
  };
  return `software =
{
  version = "${version}";
  hardware-compatibility: [ "${hardware}" ];
  stable = { ${copy('a')} ${copy('b')} };
};
`;
}

function sign(dir: string, work: string, stranger: boolean): void {
  const [key, cert] = stranger
    ? [join(work, 'key.pem'), join(work, 'cert.pem')]
    : [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  if (stranger) {
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=stranger'];
    execFileSync('openssl', ['req', '-x509', ...made, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  }
  const [from, to] = [join(work, 'sw-description'), join(work, 'sw-description.sig')];
  const form = ['-outform', 'DER', '-nosmimecap', '-binary'];
  execFileSync('openssl', ['cms', '-sign', '-in', from, '-out', to, '-signer', cert, '-inkey', key, ...form]);
}

/** Make the image of that name for the station in `dir`; resolves with its path. */
export async function makeSwu(dir: string, name: string, change: Partial<SwuOptions> = {}): Promise<string> {
  const options = { ...DEFAULTS, ...change };
  const work = join(dir, `swu-${encodeURIComponent(name)}`);
  await mkdir(work);
  const whole = swuContent(name, options);
  const middle = Math.floor(options.sizeBytes / 2);
  const parts = options.halves
    ? [
        { name: 'first.img', bytes: whole.subarray(0, middle) },
        // More than a pipe holds.
        { name: 'hold.img', bytes: Buffer.alloc(300_000) },
        { name: 'second.img', bytes: whole.subarray(middle) },
      ]
    : [{ name: 'rootfs.img', bytes: whole }];
  const tool = { name: 'gate.sh', bytes: Buffer.from(script(dir)) };
  await writeFile(join(work, 'sw-description'), describe(dir, parts, tool, options));
  sign(dir, work, options.stranger);
  const files = [...(options.bare ? [] : [tool]), ...parts];
  for (const file of files) await writeFile(join(work, file.name), file.bytes);
  const names = ['sw-description', 'sw-description.sig', ...files.map((file) => file.name)];
  const archive = execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], {
    cwd: work,
    input: `${names.join('\n')}\n`,
    maxBuffer: 256 * 1024 * 1024,
  });
  if (options.damaged) {
    // Behind the version, in the noise.
    const at = archive.indexOf(whole.subarray(100, 200));
    archive[at] = (archive[at] ?? 0) ^ 1;
  }
  const path = `${work}.swu`;
  await writeFile(`${path}.part`, Buffer.concat([archive, Buffer.alloc(options.paddingBytes)]));
  await rename(`${path}.part`, path);
  return path;
}
