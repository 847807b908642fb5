import { loginFact } from '@khumbu/operations/security-log/tell-login';
import { followPolicies, policyFact, settingsContent } from '@khumbu/operations/security-log/told-policy';
import { createLogger } from '@khumbu/shared/runtime/logger';
import t from 'tap';
import { AT, fresh, NOW, redis } from './store-stage.js';

void t.test('what is told of a login', async (t) => {
  const at = 'root@10.0.0.7:22';
  const table: [Parameters<typeof loginFact>[0], object][] = [
    [
      { station: 'cp1', at },
      { fact: { station: 'cp1', ok: true, details: { to: at } }, limit: 'login:ok:cp1' },
    ],
    [{ at }, { fact: { ok: true }, limit: `login:ok:${at}` }],
    [
      { station: 'cp1', at, failure: { stage: 'host_key', message: 'changed' } },
      { fact: { ok: false, reason: 'host_key', message: 'changed' }, limit: 'login:host_key:cp1' },
    ],
    [{ station: 'cp1', at, failure: { message: 'gone' } }, { fact: { reason: 'unreachable' } }],
  ];
  for (const [login, wanted] of table) t.match(loginFact(login, 'log-worker', NOW), wanted);
});

void t.test('what is told of a policy', async (t) => {
  const content = (sha256: string, ...lines: string[]) => ({ sha256, lines });
  const old = content('a', 'one read', 'two admin');
  t.equal(policyFact('gateway', 'API_KEYS_FILE', old, old, NOW), undefined);
  t.match(policyFact('gateway', 'API_KEYS_FILE', undefined, old, NOW), { what: 'policy_first_seen' });
  t.match(policyFact('gateway', 'API_KEYS_FILE', old, content('b', 'one read', 'two read'), NOW), {
    what: 'policy_changed',
    by: { cause: 'file', name: 'gateway' },
    details: { before: 'a', sha256: 'b', added: ['two read'], removed: ['two admin'] },
  });
  const many = Array.from({ length: 60 }, (_none, n) => `s${n}`);
  t.match(policyFact('gateway', 'F', old, content('c', ...many), NOW)?.details?.added, { length: 51 });
  const names = { A: 0, B: 0 };
  t.not(settingsContent(names, { A: 1, B: ['x'] }).sha256, settingsContent(names, { A: 1, B: ['y'] }).sha256);
});

void t.test('a change is told once, however many processes see it', async (t) => {
  const { store } = fresh();
  const { keys } = store;
  const log = createLogger('test', 'silent');
  const processes = [1, 2, 3].map(() => followPolicies({ redis, keys, service: 'gateway', now: () => AT, log }));
  t.teardown(() => {
    for (const one of processes) one.stop();
  });
  await Promise.all(processes.map(({ tell }) => tell('API_KEYS_FILE', { sha256: 'a', lines: [] })));
  await Promise.all(processes.map(({ tell }) => tell('API_KEYS_FILE', { sha256: 'b', lines: ['new'] })));
  await Promise.all(processes.map(({ tell }) => tell('LAST', { sha256: 'c', lines: [] })));
  const told = await redis.lrange(keys.securityPending, 0, -1);
  t.strictSame(
    told.map((text) => (JSON.parse(text) as { details: { sha256: string } }).details.sha256),
    ['a', 'b', 'c'],
  );
});
