import { randomBytes } from 'node:crypto';
import { certificateFromDer } from '@khumbu/firmware-trust/certificate';
import { checkChain, checkLeaf } from '@khumbu/firmware-trust/chain';
import { crlFromDer } from '@khumbu/firmware-trust/crl';
import { hasCode } from '@khumbu/shared/runtime/errors';
import t from 'tap';
import {
  CODE_SIGNING,
  certificateDer,
  der,
  EXT,
  ecKeys,
  GENERAL,
  keyIds,
  pem,
  revocationList,
  seq,
} from './make-certificate.js';

const root = ecKeys();
const sub = ecKeys();
const leafKeys = ecKeys();
const rootDer = certificateDer({
  subject: 'O=M/CN=root',
  issuer: 'O=M/CN=root',
  keys: root,
  by: root,
  extensions: [EXT.ca()],
});
const subDer = certificateDer({
  subject: 'O=M/CN=sub',
  issuer: 'O=M/CN=root',
  keys: sub,
  by: root,
  extensions: [
    EXT.ca(1),
    EXT.usage(0x06, 1),
    ...keyIds(sub, root),
    EXT.constraints([GENERAL.directory('O=M')], [GENERAL.dns('a.example')]),
  ],
});
const leafDer = certificateDer({
  subject: 'O=M/CN=leaf/emailAddress=<16>a@b.c',
  issuer: 'O=M/CN=sub',
  keys: leafKeys,
  by: sub,
  extensions: [
    EXT.usage(0x80, 7),
    EXT.purposes(CODE_SIGNING),
    EXT.alternatives(false, GENERAL.directory('O=M/CN=x'), GENERAL.uri('https://a.b/')),
    { oid: '2.5.29.31', value: seq(seq(der(0xa0, der(0xa0, GENERAL.uri('http://a/crl'))))) },
  ],
});
const crlText = revocationList({
  issuer: 'O=M/CN=sub',
  by: sub,
  revoked: [{ serial: 5, extensions: [{ oid: '2.5.29.21', value: der(0x0a, Buffer.from([1])) }] }],
  extensions: [{ oid: '2.5.29.28', critical: true, value: seq(der(0xa0, der(0xa0, GENERAL.uri('http://a/crl')))) }],
});
const crlDer = Buffer.from(crlText.replace(/-----.*-----|\n/g, ''), 'base64');

const roots = [certificateFromDer(rootDer)];
const crls = [crlFromDer(crlDer)];
const options = { roots, crls, now: new Date(), clockSane: true };
const ROUNDS = 3000;

/** A byte changed, taken out, put in, or the rest cut off. */
function damage(whole: Buffer): Buffer {
  const [kind = 0, a = 0, b = 0, value = 0] = randomBytes(4);
  const place = (a * 256 + b) % whole.length;
  const [before, after] = [whole.subarray(0, place), whole.subarray(place + 1)];
  switch (kind % 4) {
    case 0:
      return Buffer.concat([before, Buffer.from([value]), after]);
    case 1:
      return Buffer.concat([before, after]);
    case 2:
      return Buffer.concat([before, Buffer.from([value]), whole.subarray(place)]);
    default:
      return before;
  }
}

void t.test('a damaged certificate is never valid, and never a surprise', (t) => {
  const textOf = (leaf: Buffer, between: Buffer): string => pem('CERTIFICATE', leaf) + pem('CERTIFICATE', between);
  t.equal(checkChain(textOf(leafDer, subDer), options).verdict, 'valid');
  const valid: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [leaf, between] = round % 2 ? [damage(leafDer), subDer] : [leafDer, damage(subDer)];
    if (leaf.length === 0 || between.length === 0) continue;
    const text = textOf(leaf, between);
    const isSame = leaf.equals(leafDer) && between.equals(subDer);
    if (checkChain(text, options).verdict === 'valid' && !isSame) valid.push(text);
    checkLeaf(text, 'ocpp');
  }
  t.same(valid, []);
  t.end();
});

void t.test('a damaged revocation list is refused, or read as another one', (t) => {
  const surprises: unknown[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    try {
      crlFromDer(damage(crlDer));
    } catch (error) {
      if (!hasCode(error, 'DER_INVALID')) surprises.push(error);
    }
  }
  t.same(surprises, []);
  t.end();
});
