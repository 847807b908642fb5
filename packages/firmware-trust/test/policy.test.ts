import { generateKeyPairSync } from 'node:crypto';
import { type ChainPolicy, checkChain, checkLeaf } from '@khumbu/firmware-trust/chain';
import type { Crl } from '@khumbu/firmware-trust/crl';
import { watchCrls } from '@khumbu/firmware-trust/crl-watch';
import { policyOf } from '@khumbu/firmware-trust/roots';
import t from 'tap';
import {
  bits,
  CA,
  CODE_SIGNING,
  certificate,
  certificateDer,
  certificatesIn,
  crlsIn,
  der,
  EXT,
  ecKeys,
  inDays,
  int,
  type Keys,
  NOW,
  oid,
  type Parts,
  pem,
  revocationList,
  rsaKeys,
  seq,
} from './make-certificate.js';

const SIGNER = [EXT.usage(0x80, 7), EXT.purposes(CODE_SIGNING)];
const root = rsaKeys();
const rootOf = (keys: Keys, signing?: string): string =>
  certificate({
    subject: 'CN=root',
    issuer: 'CN=root',
    keys,
    by: keys,
    extensions: CA,
    ...(signing ? { signing } : {}),
  });
const leafOf = (changes: Partial<Parts> = {}): string =>
  certificate({ subject: 'CN=leaf', issuer: 'CN=root', keys: rsaKeys(), by: root, extensions: SIGNER, ...changes });

function judge(chain: string, policy: ChainPolicy = {}, rootPem = rootOf(root), crls: Crl[] = []) {
  const roots = certificatesIn(rootPem);
  return checkChain(chain, { roots, crls, now: NOW, clockSane: true, ...policy });
}
const word = (verdict: ReturnType<typeof judge>): string =>
  verdict.verdict === 'InvalidCertificate' ? verdict.reason : verdict.verdict;

const dsa = generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 });
const ed = generateKeyPairSync('ed25519');
const ed448 = generateKeyPairSync('ed448');
const pssKeys = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });

void t.test('weak cryptography is refused, and a setting lets the less weak of it pass for old fleets', (t) => {
  const rows: [what: string, leaf: string, ocpp: string, legacy: string, rootPem?: string][] = [
    ['RSA 2048 and SHA-256', leafOf(), 'valid', 'valid'],
    ['RSA 1024', leafOf({ keys: rsaKeys(1024) }), 'weak_key', 'valid'],
    ['RSA 768', leafOf({ keys: rsaKeys(768) }), 'weak_key', 'weak_key'],
    ['RSA with exponent 3', leafOf({ keys: rsaKeys(2048, 3) }), 'weak_key', 'valid'],
    ['P-192', leafOf({ keys: ecKeys('P-192') }), 'weak_key', 'valid'],
    ['a curve of 160 bits', leafOf({ keys: ecKeys('brainpoolP160r1') }), 'weak_key', 'weak_key'],
    ['DSA', leafOf({ keys: dsa }), 'weak_key', 'weak_key'],
    ['Ed25519', leafOf({ keys: ed }), 'key_type_unsupported', 'key_type_unsupported'],
    ['RSA for PSS alone', leafOf({ keys: pssKeys }), 'valid', 'valid'],
    ['MD5', leafOf({ signing: 'rsa-md5' }), 'weak_signature', 'weak_signature'],
    ['SHA-1', leafOf({ signing: 'rsa-sha1' }), 'weak_signature', 'valid'],
    ['SHA-224', leafOf({ signing: 'rsa-sha224' }), 'weak_signature', 'valid'],
    ['SHA-512', leafOf({ signing: 'rsa-sha512' }), 'valid', 'valid'],
    ['a root that signed itself with SHA-1', leafOf(), 'valid', 'valid', rootOf(root, 'rsa-sha1')],
    ['a root that signed itself with MD5', leafOf(), 'valid', 'valid', rootOf(root, 'rsa-md5')],
    ['an authority with Ed25519', leafOf({ by: ed }), 'valid', 'valid', rootOf(ed)],
    ['an authority with Ed448', leafOf({ by: ed448 }), 'valid', 'valid', rootOf(ed448)],
  ];
  const small = rsaKeys(1024);
  rows.push(['a root with RSA 1024', leafOf({ by: small }), 'weak_key', 'valid', rootOf(small)]);
  for (const [what, leaf, ocpp, legacy, rootPem] of rows) {
    t.equal(word(judge(leaf, {}, rootPem)), ocpp, what);
    t.equal(word(judge(leaf, { strength: 'legacy' }, rootPem)), legacy, `${what}, legacy`);
  }
  t.end();
});

void t.test('a weak key is named whatever the certificate leads to', (t) => {
  const own = rsaKeys(1024);
  const text = certificate({ subject: 'CN=x', issuer: 'CN=x', keys: own, by: own });
  t.equal(word(judge(text)), 'weak_key');
  t.equal(word(checkChain(text, { roots: [], now: NOW, clockSane: true })), 'weak_key');
  t.end();
});

void t.test('the key and the signature count also where any certificate will do', (t) => {
  const self = (keys: Keys, signing?: string): string => rootOf(keys, signing);
  t.match(checkLeaf(self(root), 'ocpp'), { verdict: 'valid' });
  t.match(checkLeaf(self(root, 'rsa-sha1'), 'ocpp'), { verdict: 'valid' }, 'its own signature says nothing');
  t.match(checkLeaf(self(rsaKeys(1024)), 'ocpp'), { reason: 'weak_key' });
  t.match(checkLeaf(self(rsaKeys(1024)), 'legacy'), { verdict: 'valid' });
  t.match(checkLeaf(self(ecKeys('P-192')), 'ocpp'), { reason: 'weak_key' });
  t.match(checkLeaf(leafOf({ signing: 'rsa-sha1' }), 'ocpp'), { reason: 'weak_signature' });
  t.match(checkLeaf(self(ed), 'ocpp'), { reason: 'key_type_unsupported' });
  t.end();
});

/** RSASSA-PSS with its parameters written out. */
function signedWithPss(parameters: Buffer): string {
  const whole = certificateDer({
    subject: 'CN=leaf',
    issuer: 'CN=root',
    keys: rsaKeys(),
    by: root,
    extensions: SIGNER,
  });
  const plain = seq(oid('1.2.840.113549.1.1.11'), der(0x05));
  const algorithm = seq(oid('1.2.840.113549.1.1.10'), parameters);
  const body = whole.subarray(4, 8 + whole.readUInt16BE(6));
  const place = body.indexOf(plain);
  const content = Buffer.concat([body.subarray(4, place), algorithm, body.subarray(place + plain.length)]);
  return pem('CERTIFICATE', seq(seq(content), algorithm, bits(Buffer.alloc(256, 1))));
}

void t.test('the parameters of a signature with RSA-PSS count', (t) => {
  const SHA256 = '2.16.840.1.101.3.4.2.1';
  const hash = (id: string): Buffer => der(0xa0, seq(oid(id), der(0x05)));
  const mask = (id: string): Buffer => der(0xa1, seq(oid('1.2.840.113549.1.1.8'), seq(oid(id), der(0x05))));
  const salt = der(0xa2, int(32));
  const weak = (...parameters: Buffer[]) => checkLeaf(signedWithPss(seq(...parameters)), 'ocpp');
  t.match(weak(hash(SHA256), mask(SHA256), salt), { verdict: 'valid' });
  t.match(weak(), { reason: 'weak_signature', detail: 'sha1' }, 'what is left out is SHA-1');
  t.match(weak(hash(SHA256), salt), { reason: 'weak_signature' }, 'the mask, too');
  t.match(weak(hash('1.3.14.3.2.26'), mask(SHA256)), { reason: 'weak_signature' });
  t.match(weak(hash('1.2.840.113549.2.5'), mask(SHA256)), { reason: 'weak_signature' }, 'MD5');
  t.match(weak(hash(SHA256), mask('1.3.14.3.2.26')), { reason: 'weak_signature' });
  t.end();
});

void t.test('a certificate of which no usable list says whether it is revoked follows the policy', (t) => {
  const leaf = leafOf({ serial: 77 });
  const list = (changes: Partial<Parameters<typeof revocationList>[0]> = {}): Crl[] =>
    crlsIn(revocationList({ issuer: 'CN=root', by: root, ...changes }));
  const expired = { thisUpdate: inDays(-9), nextUpdate: inDays(-1) };
  const rows: [what: string, crls: Crl[], accept: string, refuse: string, remarks: number][] = [
    ['current', list(), 'valid', 'valid', 0],
    ['none', [], 'valid', 'revocation_unknown', 0],
    [
      'one of another authority only',
      crlsIn(revocationList({ issuer: 'CN=other', by: root })),
      'valid',
      'revocation_unknown',
      1,
    ],
    ['expired', list(expired), 'valid', 'revocation_unknown', 1],
    ['of the future', list({ thisUpdate: inDays(1) }), 'valid', 'revocation_unknown', 1],
    ['forged', list({ forged: true }), 'valid', 'revocation_unknown', 1],
    ['weakly signed', list({ signing: 'rsa-sha1' }), 'valid', 'revocation_unknown', 1],
    ['expired, and a current one beside it', [...list(expired), ...list()], 'valid', 'valid', 0],
    [
      'expired, naming it',
      list({ ...expired, revoked: [{ serial: 77 }] }),
      'RevokedCertificate',
      'RevokedCertificate',
      0,
    ],
    ['forged, naming it', list({ forged: true, revoked: [{ serial: 77 }] }), 'valid', 'revocation_unknown', 1],
  ];
  for (const [what, crls, accept, refuse, remarks] of rows) {
    const accepted = judge(leaf, { revocationUnknown: 'accept' }, undefined, crls);
    t.equal(word(accepted), accept, what);
    t.equal((accepted.verdict === 'valid' && accepted.remarks?.length) || 0, remarks, `${what}: remarks`);
    t.equal(word(judge(leaf, { revocationUnknown: 'refuse' }, undefined, crls)), refuse, `${what}, refused`);
  }
  t.end();
});

void t.test('an authority may publish its revocations in many lists', (t) => {
  const lists = Array.from({ length: 40 }, (_, n) =>
    revocationList({ issuer: 'CN=root', by: root, revoked: [{ serial: n + 1 }] }),
  );
  const crls = crlsIn(...lists);
  t.equal(word(judge(leafOf({ serial: 40 }), { revocationUnknown: 'refuse' }, undefined, crls)), 'RevokedCertificate');
  t.equal(word(judge(leafOf({ serial: 41 }), { revocationUnknown: 'refuse' }, undefined, crls)), 'valid');
  t.end();
});

void t.test('a list of a great many revoked certificates is read', (t) => {
  const revoked = Array.from({ length: 30_000 }, (_, serial) => ({ serial: serial + 1000 }));
  const [crl] = crlsIn(revocationList({ issuer: 'CN=root', by: root, revoked }));
  t.equal(crl?.revoked.size, 30_000);
  t.equal(word(judge(leafOf({ serial: 30_999 }), {}, undefined, crl ? [crl] : [])), 'RevokedCertificate');
  t.end();
});

void t.test('a list that cannot be used, or not any more, is told once for each reason, and counted', (t) => {
  let now = NOW;
  const lines: string[] = [];
  const log = {
    warn: ({ reason }: { reason: string }) => void lines.push(reason),
    info: () => void lines.push('usable'),
  };
  const crls = crlsIn(
    revocationList({ issuer: 'CN=root', by: root, nextUpdate: inDays(3) }),
    revocationList({ issuer: 'CN=root', by: root, thisUpdate: inDays(1) }),
  );
  const watch = watchCrls({ crls: () => crls, strength: 'ocpp', now: () => now, log: log as never });
  t.teardown(() => watch.stop());
  t.match(lines, [/of the future/]);
  t.same(watch.count(), { current: 1, unusable: 1 });
  watch.look();
  t.equal(lines.length, 1, 'told once');
  now = inDays(2);
  watch.look();
  t.match(lines.slice(1), [/usable/]);
  t.same(watch.count(), { current: 2, unusable: 0 });
  now = inDays(4);
  watch.look();
  t.match(lines.slice(2), [/expired/]);
  t.end();
});

void t.test('settings that let weak certificates pass are logged as errors', (t) => {
  const lines: object[] = [];
  const log = { error: (what: object) => void lines.push(what) } as never;
  const strict = { CERTIFICATE_STRENGTH: 'ocpp', REVOCATION_UNKNOWN: 'accept' } as const;
  t.same(policyOf(strict, log), { strength: 'ocpp', revocationUnknown: 'accept' });
  t.same(lines, []);
  policyOf({ ...strict, CERTIFICATE_STRENGTH: 'legacy' }, log);
  t.match(lines, [{ setting: 'CERTIFICATE_STRENGTH' }]);
  policyOf({ ...strict, REVOCATION_UNKNOWN: 'refuse' }, log);
  t.match(lines[1], { setting: 'REVOCATION_UNKNOWN' });
  t.end();
});
