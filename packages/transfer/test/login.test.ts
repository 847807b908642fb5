import { createHash } from 'node:crypto';
import t from 'tap';
import { readChallenges } from '../src/http/challenges.js';
import { digestAuthorization, digestChallenge } from '../src/http/digest-auth.js';
import { Login, wantedSchemes } from '../src/http/login.js';

void t.test('challenges are read however they are written', async (t) => {
  const read = (...fields: string[]) =>
    readChallenges(fields).map(({ scheme, parameters }) => [scheme, { ...parameters }]);
  t.same(read(), []);
  t.same(readChallenges(undefined), []);
  t.same(read('Basic realm="a, \\"b\\" = c"'), [['basic', { realm: 'a, "b" = c' }]]);
  t.same(read('Negotiate, Basic realm=x,Digest nonce = "n" , REALM="r",qop="auth,auth-int"'), [
    ['negotiate', {}],
    ['basic', { realm: 'x' }],
    ['digest', { nonce: 'n', realm: 'r', qop: 'auth,auth-int' }],
  ]);
  t.same(read('Negotiate YII=, Basic realm="x"'), [
    ['negotiate', {}],
    ['basic', { realm: 'x' }],
  ]);
  t.same(read('Digest nonce="a"', 'Basic realm="b"'), [
    ['digest', { nonce: 'a' }],
    ['basic', { realm: 'b' }],
  ]);
  t.same(read('Digest nonce="1", nonce="2"'), [['digest', { nonce: '1' }]], 'the first of two');
  t.same(read('realm="of nobody"'), []);
  t.same(read(', Basic realm="x",, ,Digest nonce="a", , qop=auth,'), [
    ['basic', { realm: 'x' }],
    ['digest', { nonce: 'a', qop: 'auth' }],
  ]);
  t.same(read('Digest realm=a/b, nonce=YWJj+/==,qop=auth'), [
    ['digest', { realm: 'a/b', nonce: 'YWJj+/==', qop: 'auth' }],
  ]);
  t.equal(read('Digest nonce="never ends')[0]?.[0], 'digest', 'what cannot be read is left out');
});

const lion = { username: 'Mufasa', password: 'Circle of Life' };
const question = { method: 'GET', uri: '/dir/index.html', credentials: lion };
const responseOf = (text: string): string => /response="(\w+)"/.exec(text)?.[1] ?? '';

void t.test('the examples of the standards are answered as the standards say', async (t) => {
  const rfc7616 = {
    realm: 'http-auth@example.org',
    qop: 'auth, auth-int',
    nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
    opaque: 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS',
  };
  const cnonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
  const answer = (parameters: Record<string, string>, count = 1, nonce = cnonce) =>
    digestAuthorization({ challenge: { scheme: 'digest', parameters }, count }, question, nonce);
  const sha256 = answer({ ...rfc7616, algorithm: 'SHA-256' });
  t.equal(responseOf(sha256), '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1');
  t.match(sha256, `algorithm=SHA-256, cnonce="${cnonce}", qop=auth, nc=00000001, opaque="${rfc7616.opaque}"`);
  t.equal(responseOf(answer({ ...rfc7616, algorithm: 'MD5' })), '8ca523f5e9506fed4657c9700eebdbec');
  const rfc2617 = { realm: 'testrealm@host.com', nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093' };
  const old = { ...question, credentials: { ...lion, password: 'Circle Of Life' } };
  const answerOld = (parameters: Record<string, string>) =>
    digestAuthorization({ challenge: { scheme: 'digest', parameters }, count: 1 }, old, '0a4f113b');
  t.equal(responseOf(answerOld({ ...rfc2617, qop: 'auth' })), '6629fae49393a05397450978507c4ef1');
  t.equal(responseOf(answerOld(rfc2617)), '670fd8c2df070c60b045671b8b24ff02', 'without qop');
  t.notMatch(answerOld(rfc2617), /qop|nc=|cnonce|algorithm/);
});

void t.test('a session algorithm, a name that is not ASCII, a nonce with quotes', async (t) => {
  const md5 = (text: string) => createHash('md5').update(text).digest('hex');
  const parameters = { realm: 'r', nonce: 'n"1\\', algorithm: 'MD5-sess', qop: 'auth' };
  const credentials = { username: 'Jürgen', password: 'p' };
  const state = { challenge: { scheme: 'digest', parameters }, count: 10 };
  const text = digestAuthorization(state, { method: 'PUT', uri: '/a?b="c"', credentials }, 'c');
  t.match(text, `username*=UTF-8''J%C3%BCrgen`);
  t.match(text, 'nonce="n\\"1\\\\"');
  t.match(text, 'uri="/a?b=\\"c\\""');
  t.match(text, 'nc=0000000a');
  const a1 = md5(`${md5('Jürgen:r:p')}:n"1\\:c`);
  t.equal(responseOf(text), md5(`${a1}:n"1\\:0000000a:c:auth:${md5('PUT:/a?b="c"')}`));
  t.match(text, /^Digest [\x20-\x7e]+$/);
});

void t.test('a realm that is not ASCII is hashed, and sent back, by its bytes', async (t) => {
  const onWire = Buffer.from('Zürich').toString('latin1');
  const state = { challenge: { scheme: 'digest', parameters: { realm: onWire, nonce: 'n' } }, count: 1 };
  const text = digestAuthorization(state, question);
  const md5 = (what: string) => createHash('md5').update(what).digest('hex');
  t.equal(responseOf(text), md5(`${md5('Mufasa:Zürich:Circle of Life')}:n:${md5('GET:/dir/index.html')}`));
  t.match(Buffer.from(text, 'latin1').toString(), 'realm="Zürich"');
});

void t.test('an empty list of qop is none', async (t) => {
  for (const qop of ['', ' ', ',']) {
    const challenge = { scheme: 'digest', parameters: { realm: 'r', nonce: 'n', qop } };
    t.equal(digestChallenge([challenge]), challenge);
    t.notMatch(digestAuthorization({ challenge, count: 1 }, question), /qop|nc=/);
  }
});

void t.test('of several challenges the strongest that can be answered is taken', async (t) => {
  const taken = (field: string) => digestChallenge(readChallenges(field))?.parameters.nonce;
  t.equal(taken('Digest nonce=1, algorithm=MD5, Digest nonce=2, algorithm=SHA-256'), '2');
  t.equal(taken('Digest nonce=1, Digest nonce=2, algorithm=SHA-512-256'), '1');
  t.equal(taken('Digest nonce=1, algorithm=md5-SESS, Digest nonce=2'), '1');
  t.equal(taken('Digest nonce=1, qop="auth-int"'), undefined);
  t.equal(taken('Digest realm="no nonce"'), undefined);
  t.equal(taken('Basic realm="x"'), undefined);
});

void t.test('a login begins with Basic, answers a digest once, and a stale nonce again', async (t) => {
  const login = new Login(lion);
  const ask = () => login.authorization('GET', '/') ?? '';
  t.equal(ask(), `Basic ${Buffer.from('Mufasa:Circle of Life').toString('base64')}`);
  t.notOk(login.refused('Basic realm="x"'), 'the password is wrong');
  t.notOk(login.refused(undefined));
  t.ok(login.refused('Digest nonce="1", qop="auth"'));
  t.match(ask(), /^Digest .*nc=00000001/);
  t.match(ask(), /nc=00000002/, 'each use of a nonce has a number of its own');
  t.notOk(login.refused('Digest nonce="2", qop="auth"'), 'the password is wrong');
  t.notOk(login.refused('Digest nonce="1", qop="auth", stale=true'), 'a nonce that was not renewed');
  t.ok(login.refused('Digest nonce="2", qop="auth", stale=TRUE'));
  t.match(ask(), /nonce="2".*nc=00000001/);
  const nobody = new Login(undefined);
  t.equal(nobody.authorization('GET', '/'), undefined);
  t.notOk(nobody.refused('Digest nonce="1"'));
});

void t.test('what a server wants, in words without its own text', async (t) => {
  t.equal(wantedSchemes('Basic realm="<script>"'), 'Basic');
  t.equal(
    wantedSchemes('Digest realm="r", nonce="n", algorithm=SHA-512-256, qop="auth"'),
    'Digest (SHA-512-256, qop auth)',
  );
  t.equal(wantedSchemes('Negotiate, NTLM'), 'Negotiate or Ntlm');
  t.equal(wantedSchemes('Bearer, Bearer'), 'Bearer');
  t.equal(wantedSchemes(undefined), 'no scheme it names');
  t.equal(wantedSchemes('Digest algorithm="\u001b[31m<b>"'), 'Digest (31mb)');
});
