import { CodedError, describeError, hasCode, withoutCredentials } from '@khumbu/shared/runtime/errors';
import { createLogger } from '@khumbu/shared/runtime/logger';
import t from 'tap';

void t.test('what errors say', async (t) => {
  const urls: [string, string][] = [
    ['http://host/a.bin', 'http://host/a.bin'],
    ['http://user:pass@host:80/a.bin?sig=1#f', 'http://host:80/a.bin'],
    ['HTTPS://token@host', 'HTTPS://host'],
    ['redis://:p@127.0.0.1:6379/0', 'redis://127.0.0.1:6379/0'],
    ['ftp://user:p@ss@host/x', 'ftp://host/x'],
    ["ftp://user:it's@host/x", 'ftp://host/x'],
    ['ftp://user:a"b<c>@host/x', 'ftp://host/x'],
    ['ftp://u:a;b=c,d!$&()*+%2F@host/x', 'ftp://host/x'],
    ['http://host/dir@v2/a.bin', 'http://host/dir@v2/a.bin'],
    ['http://[::1]:9000/b?X-Amz-Signature=abc', 'http://[::1]:9000/b'],
    ['get "http://u:p@h/x?k=1" failed', 'get "http://h/x" failed'],
    ['from http://a:b@c/1?x to https://d:e@f/2?y, done', 'from http://c/1 to https://f/2 done'],
    ['s3://bucket/key', 's3://bucket/key'],
    ['no url: a@b?c#d', 'no url: a@b?c#d'],
    ['', ''],
  ];
  for (const [text, wanted] of urls) t.equal(withoutCredentials(text), wanted, text);

  t.equal(describeError(new Error('cannot reach http://u:p@h/')), 'cannot reach http://h/');
  t.equal(describeError('http://u:p@h/'), 'http://h/');
  t.equal(describeError(undefined), 'undefined');
  const both = new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')]);
  t.equal(describeError(both), 'refused ::1; refused 127.0.0.1', 'what Node says when a name has two addresses');
  t.equal(describeError(Object.assign(new Error(''), { code: 'ECONNRESET' })), 'ECONNRESET');

  t.ok(hasCode(new CodedError('A', 'x'), 'B', 'A'));
  t.notOk(hasCode({ code: 'A' }, 'A'));
});

void t.test('log lines keep secrets to themselves', async (t) => {
  const lines: string[] = [];
  const log = createLogger('x', 'info', { write: (line) => void lines.push(line) });
  const error = new CodedError('E', 'cannot reach http://u:hunter2@h/', { cause: new Error('hunter2') });
  log.error(
    {
      err: error,
      password: 'hunter2',
      request: { apn_password: 'hunter2', sim_pin: 'hunter2', vpn: { key: 'hunter2' } },
    },
    'x',
  );
  t.match(JSON.parse(lines[0] ?? ''), { service: 'x', err: { code: 'E', message: 'cannot reach http://h/' } });
  t.notMatch(lines[0], /hunter2/);
});
