/** Signatures over a digest: the verdict must be what Node says of the whole message, whatever the key and the signature. */
import { constants, createHash, createSign, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isUsableVersion, requireOpenssl } from '@khumbu/firmware-trust/openssl-verify';
import { verifySignature } from '@khumbu/firmware-trust/signature';
import t, { type Test } from 'tap';
import { dice } from './dice.js';
import { certificate, ecKeys, type Keys, rsaKeys } from './make-certificate.js';
import { nodeVerdict } from './node-verdict.js';

const never = new AbortController().signal;
const message = randomBytes(10_000);
const sha256 = createHash('sha256').update(message).digest('hex');
const authority = ecKeys();
const certificateOf = (keys: Keys): string =>
  certificate({ subject: 'CN=maker', issuer: 'CN=root', keys, by: authority });

const pssKeys = (bound: object = {}): Keys => generateKeyPairSync('rsa-pss', { modulusLength: 2048, ...bound });
const both = (name: string) => ({ hashAlgorithm: name, mgf1HashAlgorithm: name });

const signed = (key: KeyObject, options: object = {}, of: Buffer = message, hash = 'sha256'): Buffer =>
  createSign(hash)
    .update(of)
    .sign({ key, ...options });
const pss = (saltLength: number): object => ({ padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
const RAW = { dsaEncoding: 'ieee-p1363' };

const rsaSignatures = ({ privateKey }: Keys): Record<string, Buffer> => ({
  'PKCS#1': signed(privateKey),
  ...Object.fromEntries(
    [0, 20, 32, 64, constants.RSA_PSS_SALTLEN_MAX_SIGN].map((salt) => [
      `PSS, salt ${salt}`,
      signed(privateKey, pss(salt)),
    ]),
  ),
  'PKCS#1 of SHA-512': signed(privateKey, {}, message, 'sha512'),
  'PSS of SHA-512': signed(privateKey, pss(32), message, 'sha512'),
  'PKCS#1 of something else': signed(privateKey, {}, Buffer.from('else')),
  'PSS of something else': signed(privateKey, pss(32), Buffer.from('else')),
});
const ecSignatures = ({ privateKey }: Keys): Record<string, Buffer> => ({
  DER: signed(privateKey),
  raw: signed(privateKey, RAW),
  'DER and more': Buffer.concat([signed(privateKey), Buffer.from([0])]),
  'raw and more': Buffer.concat([signed(privateKey, RAW), Buffer.alloc(2)]),
  'raw of zeros': Buffer.alloc(signed(privateKey, RAW).length),
  'raw of the largest': Buffer.alloc(signed(privateKey, RAW).length, 255),
  'raw of SHA-512': signed(privateKey, RAW, message, 'sha512'),
  'DER of something else': signed(privateKey, {}, Buffer.from('else')),
});

const KEYS: Record<string, [Keys, (keys: Keys) => Record<string, Buffer>]> = {
  'RSA 2048': [rsaKeys(), rsaSignatures],
  'RSA 1024': [rsaKeys(1024), rsaSignatures],
  // Its numbers do not fill their last byte.
  'RSA 2049': [rsaKeys(2049), rsaSignatures],
  'RSA 2048 with the exponent 3': [rsaKeys(2048, 3), rsaSignatures],
  ...Object.fromEntries(
    ['P-224', 'P-256', 'P-384', 'P-521', 'secp224k1', 'secp256k1', 'brainpoolP256r1', 'brainpoolP512t1'].map(
      (curve) => [curve, [ecKeys(curve), ecSignatures]],
    ),
  ),
  'rsa-pss': [
    pssKeys(),
    ({ privateKey }) => ({
      'salt 0': signed(privateKey, pss(0)),
      'salt 32': signed(privateKey, pss(32)),
      'SHA-512': signed(privateKey, {}, message, 'sha512'),
    }),
  ],
  'rsa-pss bound to SHA-256': [
    pssKeys(both('sha256')),
    ({ privateKey }) => ({
      default: signed(privateKey),
      'salt 40': signed(privateKey, pss(40)),
      'of something else': signed(privateKey, {}, Buffer.from('else')),
    }),
  ],
  'rsa-pss bound to SHA-256 and a salt': [
    pssKeys({ ...both('sha256'), saltLength: 48 }),
    ({ privateKey }) => ({ default: signed(privateKey), longer: signed(privateKey, pss(60)) }),
  ],
  'rsa-pss bound to another mask': [
    pssKeys({ hashAlgorithm: 'sha256', mgf1HashAlgorithm: 'sha512', saltLength: 20 }),
    ({ privateKey }) => ({ default: signed(privateKey) }),
  ],
  'rsa-pss bound to SHA-512': [
    pssKeys(both('sha512')),
    ({ privateKey }) => ({ default: signed(privateKey, {}, message, 'sha512'), noise: randomBytes(256) }),
  ],
};

const scratchDir = t.testdir({});

async function compare(
  t: Pick<Test, 'same'>,
  certificatePem: string,
  signature: Buffer,
  what: string,
  allowPkcs1 = true,
) {
  const question = { certificatePem, signatureBase64: signature.toString('base64'), allowPkcs1 };
  const verdict = await verifySignature({ ...question, sha256, scratchDir, signal: never });
  t.same(verdict, nodeVerdict({ ...question, message }), what);
  return verdict;
}

for (const [name, [keys, signaturesOf]] of Object.entries(KEYS)) {
  void t.test(name, async (t) => {
    const certificatePem = certificateOf(keys);
    const random = dice(11);
    const signatures = signaturesOf(keys);
    let good = 0;
    for (const [what, signature] of Object.entries(signatures)) {
      if ((await compare(t, certificatePem, signature, what)).ok) good += 1;
      const broken = Buffer.from(signature);
      const at = random(broken.length);
      broken[at] = (broken[at] ?? 0) ^ (1 << random(8));
      t.notOk((await compare(t, certificatePem, broken, `${what}, byte ${at} broken`)).ok);
    }
    const [first = Buffer.alloc(1)] = Object.values(signatures);
    await compare(t, certificatePem, first, 'without PKCS#1', false);
    for (const odd of [
      first.subarray(1),
      first.subarray(0, -1),
      Buffer.concat([Buffer.alloc(1), first]),
      Buffer.alloc(1),
    ])
      t.notOk((await compare(t, certificatePem, odd, `${odd.length} bytes`)).ok);
    t.ok(good > 0 || name.endsWith('SHA-512'), 'some are good');
    t.same(readdirSync(scratchDir), [], 'nothing is left');
  });
}

const pkcs1 = {
  certificatePem: certificateOf(rsaKeys()),
  signatureBase64: randomBytes(256).toString('base64'),
  allowPkcs1: true,
};

/** With a program in the place of openssl. */
async function withProgram<T>(folder: string, script: string | undefined, run: () => Promise<T>): Promise<T> {
  if (script !== undefined) {
    writeFileSync(join(folder, 'openssl'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, 'openssl'), 0o755);
  }
  const { PATH } = process.env;
  process.env.PATH = script === undefined ? folder : `${folder}:${PATH}`;
  try {
    return await run();
  } finally {
    process.env.PATH = PATH;
  }
}

void t.test('no verdict is made up', async (t) => {
  const ask = (signal = never) => verifySignature({ ...pkcs1, sha256, scratchDir, signal });
  const folder = t.testdir({});
  await withProgram(folder, undefined, async () => {
    await t.rejects(ask(), { code: 'OPENSSL_MISSING' });
    t.throws(() => requireOpenssl(), { code: 'OPENSSL_MISSING' });
  });
  for (const [what, script] of Object.entries({
    'exit 0 and no word': 'exit 0',
    'exit 0 and the wrong word': 'echo Signature Verification Failure',
    'exit 1 and the good word': 'echo Signature Verified Successfully; exit 1',
    'exit 1 and no word': 'echo broken >&2; exit 1',
    'more than the word': 'echo Signature Verified Successfully; echo Signature Verified Successfully',
    killed: 'kill -9 $$',
  }))
    await withProgram(folder, script, () => t.rejects(ask(), { code: 'OPENSSL_FAILED' }, what));
  await withProgram(folder, 'exec sleep 600', async () => {
    const aborter = new AbortController();
    const asking = t.rejects(ask(aborter.signal), { message: 'enough' });
    setImmediate(() => aborter.abort(new Error('enough')));
    await asking;
  });
  await withProgram(folder, 'echo LibreSSL 3.3.6', async () =>
    t.throws(() => requireOpenssl(), { code: 'OPENSSL_UNUSABLE', message: /LibreSSL/ }),
  );
  t.same(readdirSync(scratchDir), [], 'nothing is left');
  requireOpenssl();
});

t.ok(isUsableVersion('OpenSSL 3.0.17 1 Jul 2025 (Library: OpenSSL 3.0.17 1 Jul 2025)'));
t.ok(isUsableVersion('OpenSSL 4.0.0'));
for (const version of ['', 'OpenSSL 1.1.1w  11 Sep 2023', 'LibreSSL 3.3.6', 'BoringSSL'])
  t.notOk(isUsableVersion(version));

void t.test('what the machine says of OpenSSL does not count', async (t) => {
  const folder = t.testdir({
    'openssl.cnf': 'openssl_conf = broken\n[broken]\nproviders = none\n[none]\nlegacy = x\n[x]\n',
  });
  const keys = ecKeys();
  process.env.OPENSSL_CONF = join(folder, 'openssl.cnf');
  t.teardown(() => delete process.env.OPENSSL_CONF);
  t.ok((await compare(t, certificateOf(keys), signed(keys.privateKey), 'good')).ok);
});
