import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { followAuthorities, readCertificateBundle } from '@khumbu/shared/runtime/certificate-bundle';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { pemOf } from '@khumbu/shared/runtime/pem';
import t from 'tap';

const dir = t.testdir({});
const at = (name: string): string => join(dir, name);
const text = (name: string): string => readFileSync(at(name), 'utf8');
for (const name of ['one', 'two']) {
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at(`${name}.key`)];
  const what = [
    '-subj',
    `/CN=${name}`,
    '-addext',
    'subjectAltName=IP:127.0.0.1',
    '-days',
    '2',
    '-out',
    at(`${name}.pem`),
  ];
  execFileSync('openssl', ['req', '-x509', ...kind, ...what], { stdio: 'ignore' });
}
const [ONE, TWO] = [text('one.pem'), text('two.pem')];

void t.test('a bundle of certificates is read as a whole or refused, with the entry and its line', async (t) => {
  const subjects = (bundle: string): unknown =>
    readCertificateBundle(bundle).certificates.map(({ subject }) => subject);
  t.same(subjects(ONE), ['CN=one']);
  t.same(subjects(ONE + TWO), ['CN=one', 'CN=two']);
  t.same(subjects(`# the first\n${ONE}\nSubject: CN = two\n\n${TWO}`.replaceAll('\n', '\r\n')), ['CN=one', 'CN=two']);
  t.same(subjects(text('one.key') + ONE + text('two.key')), ['CN=one'], 'beside keys');
  t.same(subjects(ONE.trimEnd()), ['CN=one'], 'without the last line end');

  const lines = TWO.trimEnd().split('\n');
  const without = (index: number): string =>
    ONE + lines.filter((_, at) => at !== (index + lines.length) % lines.length).join('\n');
  const first = ONE.trimEnd().split('\n').length + 1;
  const damaged: [string, string, RegExp][] = [
    ['without its END line', without(-1), new RegExp(`^entry 2 \\(line ${first}\\) "CERTIFICATE" has no END line$`)],
    [
      'without its BEGIN line',
      without(0),
      /^(?:entry 2 \(line \d+\)|line \d+).* (?:has no END line|not whole|BEGIN and END lines|without its entry)$/,
    ],
    ['without a line inside', without(2), new RegExp(`^entry 2 \\(line ${first}\\): the certificate cannot be read: `)],
    [
      'cut within a line',
      ONE + TWO.slice(0, 200),
      new RegExp(`^entry 2 \\(line ${first}\\) "CERTIFICATE" has no END line$`),
    ],
    [
      'cut within its END line',
      ONE + TWO.trimEnd().slice(0, -3),
      /^(?:entry 2 \(line \d+\)|line \d+).* (?:has no END line|not whole|BEGIN and END lines|without its entry)$/,
    ],
    [
      'cut within its BEGIN line',
      `${ONE}-----BEGIN CERT`,
      /^(?:entry 2 \(line \d+\)|line \d+).* (?:has no END line|not whole|BEGIN and END lines|without its entry)$/,
    ],
    ['with a dash less', ONE + TWO.replace('-----BEGIN', '----BEGIN'), /^line \d+: an END line without its entry$/],
    [
      'with a letter changed',
      ONE + TWO.replace('-----END CERTIFICATE', '-----END CERTIFICATF'),
      /^entry 2 .* begins as "CERTIFICATE" and ends as "CERTIFICATF"$/,
    ],
    ['followed by another before its end', `${without(-1)}\n${ONE}`, /has no END line$/],
    ['with something that is no base64', ONE + TWO.replace(lines[2] ?? '', '*'.repeat(64)), /^entry 2 .* not base64/],
    ['with a key that is not whole', ONE + text('two.key').slice(0, 60), /"PRIVATE KEY" has no END line$/],
    ['no certificate', text('one.key'), /^there is no certificate in it$/],
    ['no PEM', 'garbage', /^there is no certificate in it$/],
  ];
  for (const [name, bundle, reason] of damaged) {
    try {
      readCertificateBundle(bundle);
      t.fail(`${name}: taken`);
    } catch (error) {
      t.ok(hasCode(error, 'PEM_INVALID'), name);
      t.match((error as Error).message, reason, name);
    }
  }
});

void t.test('what is used of a bundle is what was read of it, whatever happened to its lines', async (t) => {
  const trusted = execFileSync('openssl', ['x509', '-in', at('two.pem'), '-trustout'], { encoding: 'utf8' });
  const whole = `${ONE}${TWO}`;
  for (const [what, bundle] of Object.entries({
    'beside keys': text('one.key') + ONE + text('two.key') + TWO,
    indented: whole.replaceAll('\n', '\n  '),
    'without line ends': whole.replaceAll('\n', ''),
    'with escaped line ends': whole.replaceAll('\n', '\\n'),
    'with an entry commented out': `${ONE.replaceAll(/^/gm, '# ')}\n${whole}`,
  }))
    t.equal(readCertificateBundle(bundle).text, whole, what);
  const { certificates, text: both } = readCertificateBundle(ONE + trusted);
  t.same(
    certificates.map(({ subject }) => subject),
    ['CN=one'],
  );
  t.match(both, /BEGIN TRUSTED CERTIFICATE/, 'what OpenSSL alone understands is not left out');
  const longer = Buffer.concat([certificates[0]?.raw ?? Buffer.alloc(0), Buffer.from([0, 0])]);
  t.throws(() => readCertificateBundle(pemOf('CERTIFICATE', longer)), {
    code: 'PEM_INVALID',
    message: /^entry 1 \(line 1\) has something behind its end$/,
  });
});

void t.test('renewed authorities are used for the next connection, damaged ones are not', async (t) => {
  const server = createServer({ cert: ONE, key: text('one.key') }, (_request, response) => response.end());
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const path = at('ca.pem');
  writeFileSync(path, ONE);
  const reports: string[] = [];
  let wake = (): void => {};
  const told = (report: string): void => {
    reports.push(report);
    wake();
  };
  const authorities = followAuthorities('THE_CA_FILE', path, {
    usable: (setting) => told(`${setting} usable`),
    unusable: (_setting, error) => told(error.message),
  });
  t.teardown(() => authorities?.close());
  const next = (report: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`waited in vain for ${report}: ${reports.join('; ')}`)), 30_000);
      wake = (): void => {
        if (!report.test(reports.at(-1) ?? '')) return;
        clearTimeout(late);
        resolve();
      };
    });
  const connects = (): Promise<boolean> =>
    new Promise((resolve) => {
      const { port } = server.address() as AddressInfo;
      const asked = get({ host: '127.0.0.1', port, ca: authorities?.current(), agent: false });
      asked
        .on('response', (response) => resolve(response.resume().statusCode === 200))
        .on('error', () => resolve(false));
    });
  const replace = (content: string): void => {
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  };
  t.ok(await connects());
  const cut = next(/^THE_CA_FILE: entry 2 \(line \d+\) "CERTIFICATE" has no END line$/);
  replace(TWO + ONE.slice(0, 100));
  await cut;
  t.ok(await connects(), 'the last good content stays');
  const other = next(/usable$/);
  replace(TWO);
  await other;
  t.notOk(await connects());
  const both = next(/usable$/);
  replace(TWO + ONE);
  await both;
  t.ok(await connects());
  t.equal(followAuthorities('NONE', undefined, { usable: told, unusable: (setting) => told(setting) }), undefined);
  writeFileSync(path, ONE.slice(0, 100));
  t.throws(() => followAuthorities('X_FILE', path, { usable: told, unusable: (setting) => told(setting) }), {
    code: 'CONFIG_INVALID',
    message: 'X_FILE: entry 1 (line 1) "CERTIFICATE" has no END line',
  });
});
