import { resolveUploadTarget, uploadFileName } from '@khumbu/shared/locations/upload-location';
import t from 'tap';

const FILE = 'cs-1-DiagnosticsLog-20260102T030405Z-abcd1234.tar.gz';
const http = (url: string, fileName: string, credentials?: { username: string; password: string }) => ({
  kind: 'http',
  url,
  fileName,
  ...(credentials === undefined ? {} : { credentials }),
});
const files = (url: string, fileName: string, credentials?: { username: string; password: string }) => ({
  ...http(url, fileName, credentials),
  kind: 'files',
});
const s3 = (bucket: string, key: string, fileName: string) => ({ kind: 's3', bucket, key, fileName });

const TARGETS: readonly (readonly [string, object])[] = [
  ['https://csms.example/logs/', http(`https://csms.example/logs/${FILE}`, FILE)],
  ['https://csms.example', http(`https://csms.example/${FILE}`, FILE)],
  ['http://csms.example:8080/', http(`http://csms.example:8080/${FILE}`, FILE)],
  ['https://csms.example/logs/?token=a%2Fb', http(`https://csms.example/logs/${FILE}?token=a%2Fb`, FILE)],
  ['https://csms.example?token=1', http(`https://csms.example/${FILE}?token=1`, FILE)],
  ['https://csms.example/put/diag.log?sig=x#frag', http('https://csms.example/put/diag.log?sig=x', 'diag.log')],
  ['https://csms.example/a%20b.gz', http('https://csms.example/a%20b.gz', 'a b.gz')],
  ['https://csms.example/bad%zz', http('https://csms.example/bad%zz', 'bad%zz')],
  [
    'https://us%20er:p%40ss@csms.example/x',
    http('https://csms.example/x', 'x', { username: 'us er', password: 'p@ss' }),
  ],
  ['s3://depot', s3('depot', FILE, FILE)],
  ['s3://depot/', s3('depot', FILE, FILE)],
  ['s3://depot/a/b/', s3('depot', `a/b/${FILE}`, FILE)],
  ['s3://depot/a/b.tgz', s3('depot', 'a/b.tgz', 'b.tgz')],
  ['s3://depot/a/%F0%9F%98%80', s3('depot', 'a/😀', '😀')],
  ['ftp://csms.example/logs/', files(`ftp://csms.example/logs/${FILE}`, FILE)],
  ['ftp://csms.example', files(`ftp://csms.example/${FILE}`, FILE)],
  ['ftp://csms.example/%2F', files(`ftp://csms.example/%2F/${FILE}`, FILE)],
  ['ftps://csms.example:21/logs/diag.log?1#2', files('ftps://csms.example:21/logs/diag.log%3F1%232', 'diag.log?1#2')],
  ['sftp://csms.example', files(`sftp://csms.example/${FILE}`, FILE)],
  [
    'sftp://user:secret@csms.example/logs/',
    files(`sftp://csms.example/logs/${FILE}`, FILE, { username: 'user', password: 'secret' }),
  ],
];

const REFUSALS: readonly (readonly [string, string])[] = [
  ['file:///etc/passwd', 'NotSupportedOperation'],
  ['mailto:secret@csms.example', 'NotSupportedOperation'],
  ['', 'BadMessage'],
  ['csms.example/logs', 'BadMessage'],
  ['https://', 'BadMessage'],
  ['https://user:secret@/x', 'BadMessage'],
  ['https://csms.example/a b', 'BadMessage'],
  ['s3:///key', 'BadMessage'],
  ['s3://B/key', 'BadMessage'],
  ['s3://depot/a/..%2f..%2fsecret', 'BadMessage'],
  ['s3://depot//a', 'BadMessage'],
  ['s3://depot/a%00b', 'BadMessage'],
  [`s3://depot/${'a'.repeat(1025)}`, 'BadMessage'],
  ['s3://user:secret@depot/a', 'BadMessage'],
];

void t.test('locations', async (t) => {
  for (const [location, target] of TARGETS) t.same(resolveUploadTarget(location, FILE), target, location);
  for (const [location, status] of REFUSALS) {
    const refusal = resolveUploadTarget(location, FILE);
    t.match(refusal, { kind: 'refused', status, reason: /./ }, location.slice(0, 40));
    t.notMatch(JSON.stringify(refusal), /secret/);
  }
});

void t.test('a file name says whose logs of when, in safe characters, in at most 255', async (t) => {
  const at = new Date('2026-01-02T03:04:05.678Z');
  t.equal(uploadFileName('cs-1', 'DiagnosticsLog', at, 'log-0123-abcd1234'), FILE);
  t.equal(uploadFileName('cs-1', 'DiagnosticsLog', at, 'log-0123-abcd1234', 'zstd'), FILE.replace(/gz$/, 'zst'));
  t.equal(uploadFileName('../a b/ü', 'SecurityLog', at, 'x'), 'a_b_-SecurityLog-20260102T030405Z-x.tar.gz');
  const long = uploadFileName('s'.repeat(400), 'SecurityLog', at, '12345678');
  t.equal(long.length, 255);
  t.match(long, /^s+-SecurityLog-20260102T030405Z-12345678\.tar\.gz$/);
  t.match(uploadFileName('///', 'SecurityLog', at, '1'), /^station-/);
});
