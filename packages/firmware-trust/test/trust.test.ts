import { execFileSync } from 'node:child_process';
import { constants, createHash, privateEncrypt, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCertificates } from '@khumbu/firmware-trust/certificate';
import { type ChainOptions, checkChain, isClockSane } from '@khumbu/firmware-trust/chain';
import { openTrustStore, type TrustStore } from '@khumbu/firmware-trust/roots';
import { verifySignature } from '@khumbu/firmware-trust/signature';
import t from 'tap';
import { nodeVerdict } from './node-verdict.js';

const dir = t.testdir({
  'ca.cnf': `
[ca]
default_ca = main
[main]
database = DIR/index.txt
crlnumber = DIR/crlnumber
default_md = sha256
default_crl_days = 30
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[shortroot]
basicConstraints = critical,CA:TRUE,pathlen:0
[inter]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = codeSigning
[tls]
extendedKeyUsage = serverAuth
[agreement]
keyUsage = keyAgreement
[critical]
nameConstraints = critical,permitted;DNS:example
[plain]
basicConstraints = CA:FALSE
`,
  'index.txt': '',
  crlnumber: '01\n',
});
const at = (name: string) => join(dir, name);
const text = (name: string) => readFileSync(at(name), 'utf8');
writeFileSync(at('ca.cnf'), text('ca.cnf').replaceAll('DIR', dir));
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });

const RSA = ['-newkey', 'rsa:2048'];
const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
let serial = 100;
/** A certificate `name.pem` with key `name.key`, signed by `issuer` or by itself. Days may be negative. */
function issue(name: string, issuer: string | undefined, section: string, key = EC, days = 30): void {
  openssl('req', '-new', '-nodes', ...key, '-keyout', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
  sign(name, issuer, section, days);
}
function sign(name: string, issuer: string | undefined, section: string, days = 30, out = name): void {
  const by = issuer === undefined ? ['-signkey', `${name}.key`] : ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`];
  const ext = ['-extfile', 'ca.cnf', '-extensions', section];
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    ...by,
    ...ext,
    '-set_serial',
    String(serial++),
    '-days',
    String(days),
    '-out',
    `${out}.pem`,
  );
}
const revoke = (name: string, issuer: string) =>
  openssl('ca', '-config', 'ca.cnf', '-revoke', `${name}.pem`, '-keyfile', `${issuer}.key`, '-cert', `${issuer}.pem`);
const crl = (issuer: string) =>
  openssl(
    'ca',
    '-config',
    'ca.cnf',
    '-gencrl',
    '-keyfile',
    `${issuer}.key`,
    '-cert',
    `${issuer}.pem`,
    '-out',
    `${issuer}.crl`,
  );

issue('root', undefined, 'root', RSA);
issue('other', undefined, 'root', RSA);
issue('leaf', 'root', 'leaf', RSA);
issue('ecleaf', 'root', 'leaf');
issue('inter', 'root', 'inter');
issue('deep', 'inter', 'leaf');
issue('revoked', 'root', 'leaf');
issue('tls', 'root', 'tls');
issue('agreement', 'root', 'agreement');
issue('critical', 'root', 'critical');
issue('plain', 'root', 'plain');
issue('notca', 'root', 'plain');
issue('underleaf', 'notca', 'leaf');
issue('shortroot', undefined, 'shortroot');
issue('shortinter', 'shortroot', 'inter');
issue('shortleaf', 'shortinter', 'leaf');
// Two authorities that sign each other, and nobody else does.
issue('loopa', undefined, 'inter');
issue('loopb', 'loopa', 'inter');
sign('loopa', 'loopb', 'inter', 30, 'loopa2');
issue('loopleaf', 'loopb', 'leaf');

const NOW = new Date();
const DAY = 86_400_000;
const later = (days: number) => new Date(NOW.getTime() + days * DAY);

function options(rootNames: string[], changes: Partial<ChainOptions> & { crlNames?: string[] } = {}): ChainOptions {
  const { crlNames, ...rest } = changes;
  writeFileSync(at('bundle.pem'), rootNames.map((name) => text(`${name}.pem`)).join(''));
  if (crlNames) writeFileSync(at('bundle.crl'), crlNames.map((name) => text(`${name}.crl`)).join(''));
  const files = { rootsFile: at('bundle.pem'), crlFile: crlNames && at('bundle.crl') };
  const store = openTrustStore(files, { usable: () => {}, unusable: (_setting, error) => t.fail(String(error)) });
  store.close();
  return { ...store.current(), now: NOW, clockSane: true, ...rest };
}
const verdict = (pem: string, o: ChainOptions): string => {
  const result = checkChain(pem, o);
  return result.verdict === 'InvalidCertificate' ? result.reason : result.verdict;
};

void t.test('the text of a certificate', async (t) => {
  const leaf = text('leaf.pem');
  const good = [
    leaf,
    `  \n${leaf}\n\n `,
    leaf.replaceAll('\n', '\r\n'),
    leaf.replaceAll('\n', '\\n'),
    leaf.replaceAll('\n', '\\r\\n'),
    leaf.replaceAll('\n', ''),
    `subject=leaf\n${leaf}`,
    leaf + text('inter.pem'),
  ];
  for (const pem of good) {
    const read = readCertificates(pem);
    t.equal(read.ok && read.leaf.x509.subject, 'CN=leaf');
  }
  const both = readCertificates(text('deep.pem') + text('inter.pem'));
  t.same(both.ok && both.intermediates.map(({ x509 }) => x509.subject), ['CN=inter']);
  const bad = ['', 'garbage', text('leaf.key'), leaf.slice(0, 400), leaf.repeat(9)];
  bad.push(`-----BEGIN CERTIFICATE-----\n${randomBytes(300).toString('base64')}\n-----END CERTIFICATE-----`);
  for (const pem of bad) t.match(readCertificates(pem), { ok: false, code: 'CERTIFICATE_UNREADABLE' });
});

void t.test('the chain', async (t) => {
  const trusted = options(['other', 'root']);
  t.equal(verdict(text('leaf.pem'), trusted), 'valid');
  t.equal(verdict(text('leaf.pem').replaceAll('\n', '\\n'), trusted), 'valid');
  t.equal(verdict(text('ecleaf.pem'), trusted), 'valid');
  t.equal(verdict(text('plain.pem'), trusted), 'valid', 'no purposes written: any purpose');
  t.equal(verdict(text('deep.pem') + text('inter.pem'), trusted), 'valid');
  t.equal(verdict(text('deep.pem') + text('other.pem') + text('inter.pem'), trusted), 'valid', 'any order above');
  t.equal(verdict(text('deep.pem'), trusted), 'untrusted', 'the intermediate is missing');
  t.equal(verdict(text('deep.pem'), options(['inter'])), 'valid', 'an intermediate may be configured as root');
  t.equal(verdict(text('leaf.pem'), options(['other'])), 'untrusted');
  t.equal(verdict(text('leaf.pem') + text('root.pem'), options(['other'])), 'untrusted', 'own root brought along');
  t.equal(verdict(text('leaf.pem'), { ...trusted, roots: [] }), 'no_roots');
  t.equal(verdict('garbage', trusted), 'certificate_unreadable');
  t.equal(verdict(text('tls.pem'), trusted), 'wrong_purpose');
  t.equal(verdict(text('agreement.pem'), trusted), 'wrong_purpose');
  t.equal(verdict(text('critical.pem'), trusted), 'unknown_critical_extension');
  t.equal(verdict(text('underleaf.pem') + text('notca.pem'), trusted), 'untrusted', 'issuer is no authority');
  const short = options(['shortroot']);
  t.equal(verdict(text('shortleaf.pem') + text('shortinter.pem'), short), 'path_too_long');
  const loop = text('loopleaf.pem') + text('loopb.pem') + text('loopa2.pem') + text('loopa.pem');
  t.equal(verdict(loop, trusted), 'untrusted', 'authorities that sign each other end');
  t.equal(verdict(loop, options(['loopa'])), 'valid');
});

void t.test('dates', async (t) => {
  const trusted = options(['root']);
  t.equal(verdict(text('leaf.pem'), { ...trusted, now: later(-2) }), 'not_yet_valid');
  t.equal(verdict(text('leaf.pem'), { ...trusted, now: later(31) }), 'expired');
  t.equal(verdict(text('leaf.pem'), { ...trusted, now: new Date(0), clockSane: false }), 'clock_insane');
  t.equal(verdict(text('leaf.pem'), { ...trusted, clockSane: false }), 'clock_insane', 'never valid then');
  t.equal(verdict(text('deep.pem'), { ...trusted, clockSane: false }), 'untrusted', 'what needs no clock first');
  t.equal(isClockSane(new Date(0)), false);
  t.equal(isClockSane(new Date('2000-01-01')), false);
  t.equal(isClockSane(NOW), true);
});

void t.test('revocation', async (t) => {
  revoke('revoked', 'root');
  crl('root');
  const withCrl = options(['root'], { crlNames: ['root'] });
  t.equal(verdict(text('revoked.pem'), withCrl), 'RevokedCertificate');
  t.equal(verdict(text('revoked.pem'), { ...withCrl, now: later(60) }), 'RevokedCertificate', 'also when expired');
  t.equal(verdict(text('revoked.pem'), options(['root'])), 'valid', 'no CRL, no revocation');
  t.equal(verdict(text('leaf.pem'), withCrl), 'valid');
  t.equal(verdict(text('deep.pem') + text('inter.pem'), withCrl), 'valid', 'inter has no CRL');
  // A CRL in the name of the root that the root has not signed.
  openssl('req', '-x509', '-new', '-nodes', ...EC, '-keyout', 'fake.key', '-subj', '/CN=root', '-out', 'fake.pem');
  writeFileSync(at('index.txt'), '');
  revoke('leaf', 'fake');
  crl('fake');
  t.equal(verdict(text('leaf.pem'), options(['root'], { crlNames: ['fake'] })), 'valid', 'a forged CRL is ignored');
  writeFileSync(at('index.txt'), '');
  revoke('inter', 'root');
  crl('root');
  const without = options(['root'], { crlNames: ['root'] });
  t.equal(verdict(text('deep.pem') + text('inter.pem'), without), 'RevokedCertificate', 'a revoked intermediate');
});

void t.test('signatures', async (t) => {
  writeFileSync(at('image'), randomBytes(3 * 1024 * 1024 + 7));
  writeFileSync(at('truncated'), readFileSync(at('image')).subarray(0, -1));
  writeFileSync(at('empty'), '');
  const signWith = (key: string, ...more: string[]) =>
    openssl('dgst', '-sha256', '-sign', `${key}.key`, ...more, 'image').toString('base64');
  const pss = (saltLength: string) =>
    signWith('leaf', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', `rsa_pss_saltlen:${saltLength}`);
  const pkcs1 = signWith('leaf');
  const ecdsa = signWith('ecleaf');
  const never = new AbortController().signal;
  const judge = async (certificate: string, signatureBase64: string, image = 'image', allowPkcs1 = true) => {
    const certificatePem = text(`${certificate}.pem`);
    const sha256 = createHash('sha256')
      .update(readFileSync(at(image)))
      .digest('hex');
    const request = { sha256, certificatePem, signatureBase64, allowPkcs1, scratchDir: dir, signal: never };
    const verdict = await verifySignature(request);
    const byNode = nodeVerdict({ certificatePem, signatureBase64, allowPkcs1, message: readFileSync(at(image)) });
    t.same(verdict, byNode, 'what Node says of the whole image');
    return verdict.ok ? verdict.scheme : verdict.reason;
  };
  const raw = (der: Buffer): string => {
    const part = (start: number): [Buffer, number] => {
      const end = start + 2 + (der[start + 1] ?? 0);
      const value = der.subarray(start + 2, end);
      return [Buffer.concat([Buffer.alloc(32), value]).subarray(-32), end];
    };
    const [r, next] = part(2);
    return Buffer.concat([r, part(next)[0]]).toString('base64');
  };
  t.equal(await judge('leaf', pkcs1), 'rsa-pkcs1');
  t.equal(await judge('leaf', pkcs1, 'image', false), 'pkcs1_not_allowed');
  for (const salt of ['digest', 'max', '0', '20'])
    t.equal(await judge('leaf', pss(salt), 'image', false), 'rsa-pss', salt);
  t.equal(await judge('ecleaf', ecdsa), 'ecdsa');
  t.equal(await judge('ecleaf', raw(Buffer.from(ecdsa, 'base64'))), 'ecdsa', 'raw r and s');
  t.equal(await judge('leaf', pkcs1.replace(/.{64}/g, '$&\r\n')), 'rsa-pkcs1', 'line breaks');
  t.equal(await judge('leaf', `${pkcs1.replace(/.{64}/g, '$&\\n')} \n`), 'rsa-pkcs1', 'literal line breaks');
  for (const image of ['truncated', 'empty'])
    for (const [certificate, signature] of [
      ['leaf', pkcs1],
      ['leaf', pss('digest')],
      ['ecleaf', ecdsa],
    ] as const)
      t.equal(await judge(certificate, signature, image), 'signature_mismatch', `${certificate} ${image}`);
  t.equal(await judge('root', pkcs1), 'signature_mismatch', 'another RSA key');
  t.equal(await judge('root', pss('digest')), 'signature_mismatch', 'another RSA key');
  t.equal(await judge('deep', ecdsa), 'signature_mismatch', 'another EC key');
  t.equal(await judge('ecleaf', pkcs1), 'signature_mismatch', 'signature of another kind');
  t.equal(await judge('leaf', ecdsa), 'signature_mismatch', 'signature of another kind');
  for (const length of [1, 63, 64, 65, 256])
    for (const certificate of ['leaf', 'ecleaf'])
      t.equal(
        await judge(certificate, randomBytes(length).toString('base64')),
        'signature_mismatch',
        `${length} bytes`,
      );
  const digest = createHash('sha256')
    .update(readFileSync(at('image')))
    .digest();
  const info = (head: string, ...rest: Buffer[]) => Buffer.concat([Buffer.from(head, 'hex'), digest, ...rest]);
  const good = info('3031300d060960864801650304020105000420');
  const rsa = (content: Buffer, padding = constants.RSA_PKCS1_PADDING) =>
    privateEncrypt({ key: text('leaf.key'), padding }, content).toString('base64');
  /** A block with `length` bytes of padding and something behind the content. */
  const block = (length: number, first = '0001') => {
    const head = Buffer.concat([Buffer.from(first, 'hex'), Buffer.alloc(length, 0xff), Buffer.from([0]), good]);
    return rsa(Buffer.concat([head, randomBytes(256 - head.length)]), constants.RSA_NO_PADDING);
  };
  t.equal(await judge('leaf', rsa(good)), 'rsa-pkcs1', 'made by hand');
  for (const [what, signature] of Object.entries({
    'no parameters': rsa(info('302f300b0609608648016503040201' + '0420')),
    'something behind it': rsa(info('3031300d060960864801650304020105000420', randomBytes(9))),
    'the bare digest': rsa(digest),
    'SHA-512 named': rsa(info('3031300d060960864801650304020305000420')),
    'too little padding': block(8),
    'far too little padding': block(2),
    'another block type': block(202, '0002'),
    'a zero in front is left out': rsa(good).slice(4),
  }))
    t.equal(await judge('leaf', signature), 'signature_mismatch', what);
  for (const signature of ['', 'not base64!', '====']) t.equal(await judge('leaf', signature), 'signature_unreadable');
  openssl('genpkey', '-algorithm', 'ed25519', '-out', 'ed.key');
  openssl('req', '-x509', '-key', 'ed.key', '-subj', '/CN=ed', '-out', 'ed.pem');
  t.equal(await judge('ed', pkcs1), 'key_type_unsupported');
  const shared = { sha256: digest.toString('hex'), scratchDir: dir, signatureBase64: pkcs1, allowPkcs1: true };
  const request = { ...shared, certificatePem: 'garbage' };
  t.match(await verifySignature({ ...request, signal: never }), { ok: false, reason: 'certificate_unreadable' });
  const certificatePem = text('leaf.pem');
  await t.rejects(verifySignature({ ...request, certificatePem, scratchDir: at('absent'), signal: never }), {
    code: 'ENOENT',
  });
  const aborter = new AbortController();
  const verifying = verifySignature({ ...request, certificatePem, signal: aborter.signal });
  aborter.abort();
  await t.rejects(verifying, { name: 'AbortError' });
});

void t.test('trust files are followed', async (t) => {
  const events = new EventEmitter();
  const ignored = { usable: () => {}, unusable: () => {} };
  t.throws(() => openTrustStore({ rootsFile: at('absent.pem') }, ignored), { code: 'TRUST_FILE_INVALID' });
  writeFileSync(at('roots-live.pem'), 'nothing');
  t.throws(() => openTrustStore({ rootsFile: at('roots-live.pem') }, ignored), { code: 'TRUST_FILE_INVALID' });
  writeFileSync(at('roots-live.pem'), text('root.pem'));
  const store: TrustStore = openTrustStore(
    { rootsFile: at('roots-live.pem') },
    { ...ignored, unusable: (_setting, error) => events.emit('problem', error) },
    () => events.emit('change'),
  );
  t.teardown(() => store.close());
  const alive = setInterval(() => {}, 1000); // the watcher alone keeps no process alive
  t.teardown(() => clearInterval(alive));
  const names = () => store.current().roots.map(({ x509 }) => x509.subject);
  const deadline = { signal: AbortSignal.timeout(180_000) };
  const replace = (content: string) => {
    writeFileSync(at('roots-new.pem'), content);
    renameSync(at('roots-new.pem'), at('roots-live.pem'));
  };
  const changed = once(events, 'change', deadline);
  replace(text('root.pem') + text('other.pem'));
  await changed;
  t.same(names(), ['CN=root', 'CN=other']);
  const problem = once(events, 'problem', deadline);
  replace('garbage');
  t.match((await problem)[0], { code: 'TRUST_FILE_INVALID' });
  t.same(names(), ['CN=root', 'CN=other'], 'the last good content stays');
  t.same(openTrustStore({}, ignored).current(), { roots: [], crls: [] });
});
