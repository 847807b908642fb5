import { readCertificates } from '@khumbu/firmware-trust/certificate';
import { readPem } from '@khumbu/firmware-trust/pem';
import { readCrls, readRoots } from '@khumbu/firmware-trust/roots';
import t from 'tap';
import { certificate, EXT, ecKeys, pem, revocationList } from './make-certificate.js';

const keys = ecKeys();
const root = (of: string): string => certificate({ subject: of, issuer: of, keys, by: keys, extensions: [EXT.ca()] });
const [first, second, third] = [root('CN=first'), root('CN=second'), root('CN=third')];
const LABELS = ['CERTIFICATE'];
const bundle = first + second + third;

void t.test('PEM text is read whatever happened to its line ends', (t) => {
  const want = readPem(bundle, LABELS).map(({ der }) => der.toString('hex'));
  t.equal(want.length, 3);
  for (const [what, text] of Object.entries({
    CRLF: bundle.replaceAll('\n', '\r\n'),
    'CR alone': bundle.replaceAll('\n', '\r'),
    'escaped line ends': bundle.replaceAll('\n', '\\n'),
    'no line ends': bundle.replaceAll('\n', ''),
    indented: bundle.replaceAll('\n', '\n   '),
    'blank lines': bundle.replaceAll('\n', '\n\n'),
    'byte order mark': `\uFEFF${bundle}`,
    'no last line end': bundle.trimEnd(),
    explanations: `# the roots of a maker\nsubject=CN = first\n${bundle.replaceAll('-----BEGIN', 'Bag Attributes\n    localKeyID: 54 69 6D 65\nMaker One\n=========\n-----BEGIN')}`,
    'an entry commented out': `${first.replaceAll(/^/gm, '# ')}\n${bundle}`,
  }))
    t.same(
      readPem(text, LABELS).map(({ der }) => der.toString('hex')),
      want,
      what,
    );
  t.end();
});

const withoutEnd = (text: string): string => text.replace(/-----END.*\n/, '');
const withoutBegin = (text: string): string => text.replace(/-----BEGIN.*\n/, '');
const damaged: Record<string, [text: string, names: RegExp]> = {
  'the first without its END line': [withoutEnd(first) + second + third, /entry 1 \(line 1\).*no END/],
  'the second without its END line': [first + withoutEnd(second) + third, /entry 2 \(line \d+\).*no END/],
  'the last without its END line': [first + second + withoutEnd(third), /entry 3 \(line \d+\).*no END/],
  'the second without its BEGIN line': [first + withoutBegin(second) + third, /line \d+: /],
  'the last without its BEGIN line': [first + withoutBegin(third), /line \d+: /],
  'the second without either': [first + withoutBegin(withoutEnd(second)) + third, /line \d+: /],
  'another label': [first + second.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE'), /entry 2 .*"TRUSTED CERTIFICATE"/],
  'a label in small letters': [
    first + second.replaceAll('CERTIFICATE', 'certificate'),
    /line \d+: a BEGIN or END line/,
  ],
  'a key beside it': [first + pem('PRIVATE KEY', Buffer.from('300101', 'hex')), /entry 2 .*"PRIVATE KEY"/],
  'another label at the end': [
    first + second.replace('END CERTIFICATE', 'END X509 CRL'),
    /entry 2 .*ends as "X509 CRL"/,
  ],
  'a dash missing at BEGIN': [first + second.replace('-----BEGIN', '----BEGIN'), /line \d+: /],
  'a dash missing behind BEGIN': [first + second.replace('CERTIFICATE-----', 'CERTIFICATE----'), /line \d+: /],
  'a dash missing at END': [first + second.replace('-----END', '----END'), /entry 2 /],
  'an entry cut short within': [first + second.replace(/^(.*\n.*\n).*\n/, '$1'), /entry 2 .*not whole/],
  'a letter lost': [first + second.replace(/\n(.)/, '\n'), /entry 2 .*not base64/],
  'a letter that is none': [first + second.replace(/\n(.)/, '\n*'), /entry 2 .*not base64/],
  'an empty entry': [`${first}-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n`, /entry 2 .*empty/],
  'something behind the end of an entry': [
    first +
      pem('CERTIFICATE', Buffer.concat([readPem(second, LABELS)[0]?.der ?? Buffer.alloc(0), Buffer.from([0, 0])])),
    /entry 2 .*behind its end/,
  ],
  nothing: ['', /no PEM entry/],
  'a binary file': [readPem(first, LABELS)[0]?.der.toString('latin1') ?? '', /no PEM entry|line \d+/],
  'text alone': ['the roots follow tomorrow', /no PEM entry/],
};

void t.test('a bundle of which an entry is not whole is not read at all, and the entry is named', (t) => {
  for (const [what, [text, names]] of Object.entries(damaged)) {
    t.throws(() => readPem(text, LABELS), { code: 'PEM_INVALID', message: names }, what);
    t.match(
      readCertificates(text),
      { ok: false, code: 'CERTIFICATE_UNREADABLE', reason: names },
      `${what}, of a station`,
    );
  }
  t.end();
});

void t.test('roots and CRLs are read completely or not at all, with the entry named', (t) => {
  t.equal(readRoots(Buffer.from(bundle)).length, 3);
  for (const [what, [text]] of Object.entries(damaged))
    t.throws(
      () => readRoots(Buffer.from(text)),
      { code: 'TRUST_FILE_INVALID', message: /(entry|line) \d|no PEM entry|not UTF-8/ },
      what,
    );
  const noCertificate = pem('CERTIFICATE', Buffer.from('30030101ff', 'hex'));
  t.throws(() => readRoots(Buffer.from(first + noCertificate)), { code: 'TRUST_FILE_INVALID', message: /entry 2/ });

  const crls = ['CN=a', 'CN=b'].map((issuer) => revocationList({ issuer, by: keys, revoked: [{ serial: 7 }] }));
  t.equal(readCrls(Buffer.from(crls.join(''))).length, 2);
  const [one = '', other = ''] = crls;
  for (const [what, text] of Object.entries({
    'without its END line': withoutEnd(one) + other,
    'without its END line, last': other + withoutEnd(one),
    'with another label': other + one.replaceAll('X509 CRL', 'CRL'),
    'with a certificate in between': one + first + other,
    'a certificate in place of a list': first.replaceAll('CERTIFICATE', 'X509 CRL'),
  }))
    t.throws(() => readCrls(Buffer.from(text)), { code: 'TRUST_FILE_INVALID', message: /(entry|line) \d/ }, what);
  t.end();
});
