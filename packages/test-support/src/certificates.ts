/** Keys, certificates and revocation lists, made with the openssl program. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const openssl = async (args: string[], cwd: string): Promise<void> => {
  await run('openssl', args, { cwd });
};

export type KeyKind = 'rsa' | 'ecdsa';

export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly certificateFile: string;
  readonly keyPem: string;
  readonly keyFile: string;
}

export interface IssueOptions {
  /** Common name, used for file names too. */
  readonly name: string;
  readonly key?: KeyKind;
  /** Default: a minute ago. */
  readonly notBefore?: Date;
  /** Default: in a day. */
  readonly notAfter?: Date;
  /** Subject alternative name, such as `IP:127.0.0.1`. */
  readonly subjectAltName?: string;
}

export interface CertificateAuthority extends IssuedCertificate {
  issue(options: IssueOptions): Promise<IssuedCertificate>;
  /** An authority below this one. */
  issueAuthority(name: string): Promise<CertificateAuthority>;
  revoke(certificate: IssuedCertificate): Promise<void>;
  /** The revocation list as of now, PEM. */
  crl(): Promise<string>;
}

const KEY_ARGUMENTS: Record<KeyKind, string[]> = {
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ecdsa: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
};

async function makeKey(dir: string, name: string, kind: KeyKind): Promise<string> {
  const file = join(dir, `${name}.key`);
  await openssl(['genpkey', ...KEY_ARGUMENTS[kind], '-out', file], dir);
  return file;
}

/** A certificate that vouches for itself, valid for a day. */
export async function selfSigned(
  dir: string,
  name: string,
  options: { readonly key?: KeyKind; readonly extensions?: readonly string[] } = {},
): Promise<IssuedCertificate> {
  await mkdir(dir, { recursive: true });
  const keyFile = await makeKey(dir, name, options.key ?? 'ecdsa');
  const certificateFile = join(dir, `${name}.pem`);
  const extensions = (options.extensions ?? []).flatMap((extension) => ['-addext', extension]);
  const own = ['-key', keyFile, '-subj', `/CN=${name}`, '-out', certificateFile];
  await openssl(['req', '-x509', '-new', '-sha256', '-days', '1', ...own, ...extensions], dir);
  return read(certificateFile, keyFile);
}

const read = async (certificateFile: string, keyFile: string): Promise<IssuedCertificate> => ({
  certificateFile,
  keyFile,
  certificatePem: await readFile(certificateFile, 'utf8'),
  keyPem: await readFile(keyFile, 'utf8'),
});

/** A root authority with its books in `dir`. */
export async function makeAuthority(dir: string, name = 'Root'): Promise<CertificateAuthority> {
  return authority(dir, await selfSigned(dir, name, { extensions: ['keyUsage=critical,keyCertSign,cRLSign'] }));
}

const CA_CONFIG = `[ca]
default_ca = here
[here]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
default_days = 1
default_crl_days = 1
unique_subject = no
policy = any
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
`;

/** openssl's time: YYYYMMDDHHMMSSZ. */
const opensslTime = (date: Date): string => `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;

async function authority(dir: string, own: IssuedCertificate): Promise<CertificateAuthority> {
  await writeFile(join(dir, 'ca.conf'), CA_CONFIG);
  await writeFile(join(dir, 'index.txt'), '');
  await writeFile(join(dir, 'serial'), '1000\n');
  const ca = ['ca', '-config', 'ca.conf', '-batch', '-notext', '-cert', own.certificateFile, '-keyfile', own.keyFile];

  async function sign(section: 'leaf' | 'authority', options: IssueOptions, home: string): Promise<IssuedCertificate> {
    await mkdir(home, { recursive: true });
    const keyFile = await makeKey(home, options.name, options.key ?? 'ecdsa');
    const requestFile = join(home, `${options.name}.csr`);
    const certificateFile = join(home, `${options.name}.pem`);
    await openssl(['req', '-new', '-key', keyFile, '-subj', `/CN=${options.name}`, '-out', requestFile], home);
    const extensionsFile = join(home, `${options.name}.ext`);
    const altName = options.subjectAltName ? `subjectAltName = ${options.subjectAltName}\n` : '';
    await writeFile(extensionsFile, CA_CONFIG.replace(`[${section}]\n`, `[${section}]\n${altName}`));
    const from = options.notBefore ?? new Date(Date.now() - 60_000);
    const to = options.notAfter ?? new Date(Date.now() + 86_400_000);
    const validity = ['-startdate', opensslTime(from), '-enddate', opensslTime(to)];
    const files = ['-in', requestFile, '-out', certificateFile];
    await openssl([...ca, '-extfile', extensionsFile, '-extensions', section, ...validity, ...files], dir);
    return read(certificateFile, keyFile);
  }

  return {
    ...own,
    issue: (options) => sign('leaf', options, dir),
    async issueAuthority(name) {
      const home = join(dir, name);
      return authority(home, await sign('authority', { name }, home));
    },
    async revoke(certificate) {
      await openssl([...ca, '-revoke', certificate.certificateFile], dir);
    },
    async crl() {
      await openssl([...ca, '-gencrl', '-out', 'crl.pem'], dir);
      return readFile(join(dir, 'crl.pem'), 'utf8');
    },
  };
}
