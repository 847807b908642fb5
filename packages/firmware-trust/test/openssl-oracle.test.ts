import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkChain } from '@khumbu/firmware-trust/chain';
import t from 'tap';
import { dice } from './dice.js';
import {
  bits,
  CA,
  CODE_SIGNING,
  certificate,
  certificatesIn,
  crlsIn,
  der,
  EXT,
  type Extra,
  ecKeys,
  GENERAL,
  inDays,
  int,
  type Keys,
  keyIdOf,
  keyIds,
  NOW,
  octets,
  oid,
  type Parts,
  revocationList,
  rsaKeys,
  seq,
} from './make-certificate.js';

const run = promisify(execFile);
const dir = t.testdir({});

interface Chain {
  readonly leaf: string;
  readonly between?: readonly string[];
  readonly roots: readonly string[];
  readonly crls?: readonly string[];
}

const ours = ({ leaf, between = [], roots, crls = [] }: Chain): string => {
  const verdict = checkChain(leaf + between.join(''), {
    roots: certificatesIn(...roots),
    crls: crlsIn(...crls),
    now: NOW,
    clockSane: true,
    revocationUnknown: crls.length === 0 ? 'accept' : 'refuse',
  });
  return verdict.verdict === 'InvalidCertificate' ? verdict.reason : verdict.verdict;
};

let files = 0;
/** Whether OpenSSL accepts it, in one order of the certificates in between or the other. */
async function openssl({ leaf, between = [], roots, crls = [] }: Chain): Promise<{ ok: boolean; says: string }> {
  const home = join(dir, String(files++));
  const write = (what: string, content: string): string => {
    writeFileSync(`${home}-${what}.pem`, content);
    return `${home}-${what}.pem`;
  };
  const fixed = ['verify', '-partial_chain', '-no-CApath', '-no-CAstore', '-auth_level', '2'];
  const trust = ['-CAfile', write('roots', roots.join('')), '-attime', String(Math.floor(NOW.getTime() / 1000))];
  const revocation = crls.length === 0 ? [] : ['-crl_check_all', '-CRLfile', write('crls', crls.join(''))];
  let says = '';
  for (const order of [between, between.toReversed()]) {
    const untrusted = order.length === 0 ? [] : ['-untrusted', write('between', order.join(''))];
    try {
      await run('openssl', [...fixed, ...trust, ...revocation, ...untrusted, write('leaf', leaf)]);
      return { ok: true, says };
    } catch (error) {
      says = String((error as { stderr?: string }).stderr);
    }
  }
  return { ok: false, says };
}

const root = ecKeys();
const middle = ecKeys();
const lower = ecKeys('P-384');
const signer = rsaKeys();
const SIGNER: Extra[] = [EXT.notCa, EXT.usage(0x80, 7), EXT.purposes(CODE_SIGNING)];

const rootOf = (changes: Partial<Parts> = {}): string => {
  const keys = (changes.keys ?? root) as Keys;
  return certificate({
    subject: 'O=Maker/CN=root',
    issuer: 'O=Maker/CN=root',
    keys,
    by: keys,
    extensions: CA,
    ...changes,
  });
};
const subOf = (changes: Partial<Parts> = {}): string =>
  certificate({
    subject: 'O=Maker/CN=sub',
    issuer: 'O=Maker/CN=root',
    keys: middle,
    by: root,
    extensions: CA,
    ...changes,
  });
const leafOf = (changes: Partial<Parts> = {}): string =>
  certificate({
    subject: 'O=Maker/CN=leaf',
    issuer: 'O=Maker/CN=sub',
    keys: signer,
    by: middle,
    extensions: SIGNER,
    ...changes,
  });
const chain = (leaf: Partial<Parts> = {}, sub: Partial<Parts> = {}, top: Partial<Parts> = {}): Chain => ({
  leaf: leafOf(leaf),
  between: [subOf(sub)],
  roots: [rootOf(top)],
});
const withSub = (...more: Extra[]): Chain => chain({}, { extensions: [...CA, ...more] });
const withLeaf = (...more: Extra[]): Chain => chain({ extensions: [...SIGNER, ...more] });
const ANYTHING = seq();
const extra = (id: string, critical: boolean, value: Buffer = ANYTHING): Extra => ({ oid: id, critical, value });
const { directory, dns, email, uri, ip } = GENERAL;
const constrained = (permitted: Buffer[], excluded: Buffer[] = [], critical = true): Extra =>
  EXT.constraints(permitted, excluded, critical);

/** The keys of the tables: what a chain is like. Values: the chain, and what is answered. */
const TABLE: Record<string, [Chain, string]> = {
  plain: [chain(), 'valid'],
  'without the intermediate': [{ ...chain(), between: [] }, 'untrusted'],
  'an intermediate that is configured': [{ leaf: leafOf(), roots: [subOf()] }, 'valid'],
  'an anchor with a weak signature of its own': [chain({}, {}, { signing: 'ec-sha1' }), 'valid'],
  'a forged leaf': [chain({ forged: true }), 'untrusted'],
  'a forged intermediate': [chain({}, { forged: true }), 'untrusted'],
  'an expired leaf': [chain({ notAfter: inDays(-1), notBefore: inDays(-2) }), 'expired'],
  'an expired intermediate': [chain({}, { notAfter: inDays(-1), notBefore: inDays(-2) }), 'expired'],
  'an expired root': [chain({}, {}, { notAfter: inDays(-1), notBefore: inDays(-2) }), 'expired'],
  'an intermediate of the future': [chain({}, { notBefore: inDays(1) }), 'not_yet_valid'],
  'an intermediate that is no authority': [chain({}, { extensions: [EXT.notCa] }), 'untrusted'],
  'an intermediate without basic constraints': [chain({}, { extensions: [EXT.usage(0x06, 1)] }), 'untrusted'],
  'an intermediate that may not sign certificates': [
    chain({}, { extensions: [EXT.ca(), EXT.usage(0x02, 1)] }),
    'untrusted',
  ],
  'an intermediate that is not critical about being one': [
    chain({}, { extensions: [EXT.ca(undefined, false)] }),
    'valid',
  ],
  'the purposes of another trade': [chain({ extensions: [EXT.purposes('1.3.6.1.5.5.7.3.1')] }), 'wrong_purpose'],
  'an intermediate for another trade': [withSub(EXT.purposes('1.3.6.1.5.5.7.3.1')), 'wrong_purpose'],
  'a leaf that may not sign': [chain({ extensions: [EXT.usage(0x20, 5)] }), 'wrong_purpose'],
  'path length 0 below the root': [chain({}, {}, { extensions: [EXT.ca(0)] }), 'path_too_long'],
  'path length 1 below the root': [chain({}, {}, { extensions: [EXT.ca(1)] }), 'valid'],
  'a path length in what is no authority': [chain({ extensions: [{ oid: '2.5.29.19', value: seq(int(3)) }] }), 'valid'],
  'self-issued certificates do not count for the path length': [
    {
      leaf: leafOf({ by: lower, issuer: 'O=Maker/CN=root', extensions: [...SIGNER, ...keyIds(signer, lower)] }),
      between: [subOf({ subject: 'O=Maker/CN=root', keys: lower, extensions: [...CA, ...keyIds(lower, root)] })],
      roots: [rootOf({ extensions: [EXT.ca(0), ...keyIds(root, root)] })],
    },
    'valid',
  ],
  // Strength.
  'RSA of 1024 bits in the leaf': [chain({ keys: rsaKeys(1024) }), 'weak_key'],
  'RSA of 2047 bits in the leaf': [chain({ keys: rsaKeys(2047) }), 'weak_key'],
  'RSA with exponent 3': [chain({ keys: rsaKeys(2048, 3) }), 'weak_key'],
  'P-192 in the leaf': [chain({ keys: ecKeys('P-192') }), 'weak_key'],
  'P-224 in the leaf': [chain({ keys: ecKeys('P-224') }), 'valid'],
  'P-521 in the leaf': [chain({ keys: ecKeys('P-521') }), 'valid'],
  'a binary curve': [chain({ keys: ecKeys('sect283r1') }), 'weak_key'],
  secp256k1: [chain({ keys: ecKeys('secp256k1') }), 'valid'],
  brainpoolP384r1: [chain({ keys: ecKeys('brainpoolP384r1') }), 'valid'],
  'SHA-1 in the leaf': [chain({ signing: 'ec-sha1' }), 'weak_signature'],
  'SHA-1 in the intermediate': [chain({}, { signing: 'ec-sha1' }), 'weak_signature'],
  // Extensions.
  'an unknown extension': [withSub(extra('1.2.3.4', false)), 'valid'],
  'an unknown critical extension in the leaf': [withLeaf(extra('1.2.3.4', true)), 'unknown_critical_extension'],
  'an unknown critical extension above it': [withSub(extra('1.2.3.4', true)), 'unknown_critical_extension'],
  'an unknown critical extension in the root': [
    chain({}, {}, { extensions: [...CA, extra('1.2.3.4', true)] }),
    'unknown_critical_extension',
  ],
  'a policy that is required': [
    withSub(extra('2.5.29.36', true, seq(der(0x80, Buffer.from([0]))))),
    'unsupported_extension',
  ],
  'a policy that is required, not critical': [
    withSub(extra('2.5.29.36', false, seq(der(0x80, Buffer.from([0]))))),
    'unsupported_extension',
  ],
  'a certificate of a proxy': [
    withLeaf(extra('1.3.6.1.5.5.7.1.14', false, seq(seq(oid('1.3.6.1.5.5.7.21.1'))))),
    'untrusted',
  ],
  'addresses that the issuer does not have': [
    withLeaf(extra('1.3.6.1.5.5.7.1.7', false, seq(seq(octets(Buffer.from([0, 1])), seq(bits(Buffer.from([10]))))))),
    'unsupported_extension',
  ],
  'the same extension twice': [withLeaf(EXT.purposes(CODE_SIGNING)), 'certificate_unreadable'],
  'a broken alternative name': [withLeaf({ oid: '2.5.29.17', value: Buffer.from([0x30, 0x05, 1]) }), 'untrusted'],
  'a critical alternative name': [withLeaf(EXT.alternatives(true, dns('a.example'))), 'valid'],
  'an authority key identifier of another key': [
    withLeaf(extra('2.5.29.35', false, seq(der(0x80, Buffer.alloc(20, 7))))),
    'valid',
  ],
  'an authority key identifier that differs': [
    chain(
      { extensions: [...SIGNER, extra('2.5.29.35', false, seq(der(0x80, Buffer.alloc(20, 7))))] },
      { extensions: [...CA, extra('2.5.29.14', false, octets(keyIdOf(middle)))] },
    ),
    'untrusted',
  ],
  // Names.
  'a name in another case': [chain({ issuer: 'O=MAKER/CN=Sub' }), 'valid'],
  'a name in another type of string': [chain({ issuer: 'O=<13>Maker/CN=<14>  sub ' }), 'valid'],
  'a name that differs beyond ASCII in case': [
    chain({ issuer: 'O=Maker/CN=süb' }, { subject: 'O=Maker/CN=SÜB' }),
    'untrusted',
  ],
};

for (const critical of [true, false]) {
  const how = critical ? 'critical' : 'not critical';
  const nc = (permitted: Buffer[], excluded: Buffer[] = []): Extra => constrained(permitted, excluded, critical);
  Object.assign(TABLE, {
    [`permitted names, kept, ${how}`]: [withSub(nc([directory('O=Maker')])), 'valid'],
    [`permitted names in another case, ${how}`]: [withSub(nc([directory('O=<13>mAKER ')])), 'valid'],
    [`permitted names, broken, ${how}`]: [withSub(nc([directory('O=Other')])), 'name_constraints_violated'],
    [`one of two permitted names, ${how}`]: [withSub(nc([directory('O=Other'), directory('O=Maker')])), 'valid'],
    [`a permitted name longer than the leaf's, ${how}`]: [
      withSub(nc([directory('O=Maker/CN=leaf/OU=x')])),
      'name_constraints_violated',
    ],
    [`an excluded name, ${how}`]: [withSub(nc([], [directory('O=Maker/CN=leaf')])), 'name_constraints_violated'],
    [`an excluded name in another case, ${how}`]: [
      withSub(nc([], [directory('O=maker')])),
      'name_constraints_violated',
    ],
    [`an excluded name beyond ASCII in another case, ${how}`]: [
      chain({ subject: 'O=MÄKER/CN=leaf' }, { extensions: [...CA, nc([], [directory('O=mäker')])] }),
      'name_constraints_violated',
    ],
    [`another excluded name, ${how}`]: [withSub(nc([], [directory('O=Other')])), 'valid'],
    [`constraints of the root, ${how}`]: [
      chain({ subject: 'O=Other/CN=leaf' }, {}, { extensions: [...CA, nc([directory('O=Maker')])] }),
      'name_constraints_violated',
    ],
    [`an alternative name outside, ${how}`]: [
      chain(
        { extensions: [...SIGNER, EXT.alternatives(false, directory('O=Other'))] },
        { extensions: [...CA, nc([directory('O=Maker')])] },
      ),
      'name_constraints_violated',
    ],
    [`hosts, and the leaf has none, ${how}`]: [withSub(nc([dns('example.org')])), 'valid'],
    [`no hosts and no addresses, as authorities for people have it, ${how}`]: [
      withSub(nc([directory('O=Maker')], [dns(''), ip(0, 0, 0, 0, 0, 0, 0, 0)])),
      'valid',
    ],
    [`hosts, and the leaf has one, ${how}`]: [
      chain(
        { extensions: [...SIGNER, EXT.alternatives(false, dns('a.example.com'))] },
        { extensions: [...CA, nc([dns('example.org')])] },
      ),
      'name_constraints_unsupported',
    ],
    [`hosts, and the common name is one, ${how}`]: [
      chain({ subject: 'O=Maker/CN=a.example.com' }, { extensions: [...CA, nc([dns('example.org')])] }),
      'name_constraints_unsupported',
    ],
    [`mail, and the subject has some, ${how}`]: [
      chain(
        { subject: 'O=Maker/CN=leaf/emailAddress=<16>a@example.com' },
        { extensions: [...CA, nc([email('example.org')])] },
      ),
      'name_constraints_unsupported',
    ],
    [`mail of another type of string, ${how}`]: [
      chain({ subject: 'O=Maker/CN=leaf/emailAddress=a@b' }, { extensions: [...CA, nc([directory('O=Maker')])] }),
      'name_constraints_unsupported',
    ],
    [`places, and the leaf has one, ${how}`]: [
      chain(
        { extensions: [...SIGNER, EXT.alternatives(false, uri('https://a.example.com/x'))] },
        { extensions: [...CA, nc([], [uri('.example.com')])] },
      ),
      'name_constraints_unsupported',
    ],
    [`a constraint with a maximum, ${how}`]: [
      withSub({
        oid: '2.5.29.30',
        critical,
        value: seq(der(0xa0, seq(directory('O=Maker'), der(0x81, Buffer.from([3]))))),
      }),
      'certificate_unreadable',
    ],
  } satisfies Record<string, [Chain, string]>);
}

const CRL_TABLE: Record<
  string,
  [Pick<Parameters<typeof revocationList>[0], never> & Partial<Parameters<typeof revocationList>[0]>, string]
> = {
  'names nobody': [{}, 'valid'],
  'names the leaf': [{ revoked: [{ serial: 77 }] }, 'RevokedCertificate'],
  'names it as on hold': [
    { revoked: [{ serial: 77, extensions: [extra('2.5.29.21', false, der(0x0a, Buffer.from([6])))] }] },
    'RevokedCertificate',
  ],
  'takes it back': [
    { revoked: [{ serial: 77, extensions: [extra('2.5.29.21', false, der(0x0a, Buffer.from([8])))] }] },
    'valid',
  ],
  'has expired': [{ thisUpdate: inDays(-9), nextUpdate: inDays(-1) }, 'revocation_unknown'],
  'has expired and names the leaf': [
    { thisUpdate: inDays(-9), nextUpdate: inDays(-1), revoked: [{ serial: 77 }] },
    'RevokedCertificate',
  ],
  'is of the future': [{ thisUpdate: inDays(1) }, 'revocation_unknown'],
  'does not say until when': [{ nextUpdate: undefined }, 'valid'],
  'is forged': [{ forged: true }, 'revocation_unknown'],
  'is of another authority': [{ issuer: 'O=Maker/CN=other' }, 'revocation_unknown'],
  'has an unknown critical extension': [{ extensions: [extra('1.2.3.4', true)] }, 'revocation_unknown'],
  'is about authorities only': [
    { extensions: [extra('2.5.29.28', true, seq(der(0x82, Buffer.from([255]))))] },
    'revocation_unknown',
  ],
  'is about users only': [{ extensions: [extra('2.5.29.28', true, seq(der(0x81, Buffer.from([255]))))] }, 'valid'],
  'is about some reasons only': [
    { extensions: [extra('2.5.29.28', true, seq(der(0x83, Buffer.from([0, 0x40]))))] },
    'revocation_unknown',
  ],
  'is a delta': [{ extensions: [extra('2.5.29.27', true, int(1))] }, 'revocation_unknown'],
  'is published elsewhere': [
    { extensions: [extra('2.5.29.28', true, seq(der(0xa0, der(0xa0, uri('http://a.example/crl')))))] },
    'revocation_unknown',
  ],
  'is of several authorities': [
    {
      revoked: [{ serial: 77, extensions: [extra('2.5.29.29', true, seq(directory('O=Other')))] }],
      extensions: [extra('2.5.29.28', true, seq(der(0x84, Buffer.from([255]))))],
    },
    'revocation_unknown',
  ],
  'is signed with SHA-1': [{ signing: 'ec-sha1' }, 'revocation_unknown'],
};

void t.test('nothing is accepted that the openssl program refuses', async (t) => {
  const accepted = { both: 0, openssl: 0 };
  for (const [what, [example, expected]] of Object.entries(TABLE)) {
    const verdict = ours(example);
    t.equal(verdict, expected, what);
    const theirs = await openssl(example);
    if (verdict === 'valid') t.ok(theirs.ok, `${what}: ${theirs.says}`);
    if (theirs.ok) accepted[verdict === 'valid' ? 'both' : 'openssl'] += 1;
  }
  t.comment(accepted);
});

void t.test('revocation lists say what the openssl program takes them to say', async (t) => {
  const rootCrl = revocationList({ issuer: 'O=Maker/CN=root', by: root });
  for (const [what, [parts, expected]] of Object.entries(CRL_TABLE)) {
    const crl = revocationList({ issuer: 'O=Maker/CN=sub', by: middle, ...parts });
    const example = { ...chain({ serial: 77 }), crls: [rootCrl, crl] };
    const verdict = ours(example);
    t.equal(verdict, expected, what);
    const theirs = await openssl(example);
    if (verdict === 'valid') t.ok(theirs.ok, `${what}: ${theirs.says}`);
  }
});

void t.test('a chain is found among cross-signed authorities, whatever their order', async (t) => {
  const other = ecKeys();
  const otherRoot = rootOf({ keys: other, subject: 'CN=other', issuer: 'CN=other' });
  const crossed = subOf({ issuer: 'CN=other', by: other });
  const expired = subOf({ notBefore: inDays(-9), notAfter: inDays(-1) });
  for (const between of [
    [subOf(), crossed],
    [crossed, subOf()],
    [expired, crossed, subOf()],
    [subOf(), expired, crossed],
  ])
    for (const roots of [[rootOf()], [otherRoot], [rootOf(), otherRoot]]) {
      const example = { leaf: leafOf(), between, roots };
      t.equal(ours(example), 'valid');
    }
  t.equal(ours({ leaf: leafOf(), between: [expired, crossed], roots: [rootOf()] }), 'expired');
});

void t.test('nothing is accepted that the openssl program refuses, of chains put together by chance', async (t) => {
  const roll = dice(20_261);
  const some = <T>(...of: T[]): T => of[roll(of.length)] as T;
  const names = ['O=Maker', 'O=maker/OU=a', 'O=Other', 'O=<13>Maker', ''];
  const more = (isCa: boolean): Extra[] =>
    [
      () => constrained([directory(some(...names))], [], roll(2) === 0),
      () => constrained([], [directory(some(...names)), dns('example.org')], roll(2) === 0),
      () => EXT.alternatives(roll(2) === 0, some(dns('a.example.org'), directory('O=Other'), email('a@b.c'))),
      () =>
        extra(
          some('2.5.29.36', '2.5.29.54', '1.2.3.4', '2.5.29.33', '2.5.29.32'),
          roll(2) === 0,
          some(seq(), int(0), seq(der(0x80, Buffer.from([0])))),
        ),
      () => EXT.purposes(some(CODE_SIGNING, '2.5.29.37.0', '1.3.6.1.5.5.7.3.1')),
      () => (isCa ? EXT.ca(roll(3)) : EXT.notCa),
    ]
      .filter(() => roll(6) === 0)
      .map((make) => make());
  /** The later one counts. */
  const merged = (...list: Extra[]): Extra[] => [...new Map(list.map((one) => [one.oid, one])).values()];
  const keys = [root, middle, lower, ecKeys(), signer];
  let both = 0;
  for (let i = 0; i < 150; i += 1) {
    const depth = 1 + roll(4);
    const subjects = Array.from(
      { length: depth + 1 },
      (_, n) =>
        `${some('O=Maker', 'O=maker', 'O=Maker/OU=a', 'O=Other')}/CN=${some<string | number>('a', 'b', 'c.d', n)}`,
    );
    const made = subjects.map((subject, n) => {
      const isLeaf = n === depth;
      const by = keys[Math.max(0, n - 1) % 4] as Keys;
      return certificate({
        subject,
        issuer: subjects[Math.max(0, n - 1)] ?? '',
        keys: isLeaf ? signer : (keys[n % 4] as Keys),
        by,
        signing: roll(20) === 0 ? 'ec-sha1' : 'ec-sha256',
        extensions: merged(
          ...(isLeaf ? SIGNER : CA),
          ...keyIds(isLeaf ? signer : (keys[n % 4] as Keys), by),
          ...more(!isLeaf),
        ),
        ...(roll(25) === 0 ? { notAfter: inDays(-0.5) } : {}),
        forged: roll(30) === 0,
      });
    });
    const example = { leaf: made.at(-1) ?? '', between: made.slice(1, -1), roots: made.slice(0, 1) };
    const verdict = ours(example);
    if (verdict !== 'valid') continue;
    both += 1;
    const theirs = await openssl(example);
    t.ok(theirs.ok, `chain ${i}: ${theirs.says}`);
  }
  t.ok(both > 20, `${both} of them are good`);
});

void t.test(
  'nothing is accepted that the openssl program refuses, where an authority signs damaged extensions',
  async (t) => {
    const roll = dice(77);
    const damaged = (value: Buffer): Buffer => {
      const place = roll(value.length);
      const after = value.subarray(place + 1);
      const changed = Buffer.from([(value[place] ?? 0) ^ (1 << roll(8))]);
      return Buffer.concat([
        value.subarray(0, place),
        ...(roll(3) === 0 ? [] : [changed]),
        ...(roll(8) === 0 ? [] : [after]),
      ]);
    };
    const withDamage = (list: readonly Extra[]): Extra[] => {
      const which = roll(list.length);
      return list.map((one, index) =>
        index === which && one.value.length > 0 ? { ...one, value: damaged(one.value) } : one,
      );
    };
    const leafExtensions = [
      ...SIGNER,
      ...keyIds(signer, middle),
      EXT.alternatives(false, directory('O=Maker/CN=x'), dns('a.example.com')),
      extra('2.5.29.31', false, seq(seq(der(0xa0, der(0xa0, uri('http://a.example/crl')))))),
      extra('2.5.29.32', false, seq(seq(oid('2.5.29.32.0')))),
      extra('1.3.6.1.5.5.7.1.1', false, seq(seq(oid('1.3.6.1.5.5.7.48.1'), uri('http://a.example/')))),
    ];
    const subExtensions = [...CA, ...keyIds(middle, root), constrained([directory('O=Maker')], [directory('O=Other')])];
    let accepted = 0;
    for (let round = 0; round < 400; round += 1) {
      const isLeaf = round % 2 === 0;
      const example = chain(
        { extensions: isLeaf ? withDamage(leafExtensions) : leafExtensions },
        { extensions: isLeaf ? subExtensions : withDamage(subExtensions) },
        { extensions: [...CA, ...keyIds(root, root)] },
      );
      if (ours(example) !== 'valid') continue;
      accepted += 1;
      const theirs = await openssl(example);
      t.ok(theirs.ok, `round ${round}: ${theirs.says}`);
    }
    t.ok(accepted > 5, `${accepted} are harmless`);
  },
);
