import { COMMON_SETTINGS, loadConfig, S3_SETTINGS, WORKER_SETTINGS } from '@khumbu/shared/runtime/config';
import t from 'tap';
import { Type } from 'typebox';
import { problemsOf } from './problems-of.js';

void t.test('settings', async (t) => {
  const Settings = Type.Object({
    ...COMMON_SETTINGS,
    ...WORKER_SETTINGS,
    ...S3_SETTINGS,
    TOKEN: Type.String({ description: 'what opens the door' }),
    WATCH: Type.Boolean({ default: false }),
    RATIO: Type.Optional(Type.Number({ minimum: 0 })),
    HOSTS: Type.Array(Type.String({ minLength: 1 }), { default: [] }),
    PORTS: Type.Optional(Type.Array(Type.String({ pattern: '^[0-9]+$' }))),
  });

  await t.test('defaults, text made into what the schema wants, frozen', async (t) => {
    const config = loadConfig(Settings, { TOKEN: 'x', OTHER: 'ignored', REDIS_URL: '', HEALTH_PORT: '' });
    t.match(config, {
      REDIS_URL: 'redis://127.0.0.1:6379',
      KEY_PREFIX: 'khumbu',
      LOG_LEVEL: 'info',
      HEALTH_PORT: 0,
      JOB_LOCK_MS: 10_000,
      TOKEN: 'x',
      WATCH: false,
      HOSTS: [],
    });
    for (const absent of ['STATIONS_FILE', 'S3_ENDPOINT', 'RATIO', 'OTHER', 'PORTS']) t.notOk(absent in config, absent);
    t.ok(Object.isFrozen(config));

    const given = loadConfig(Settings, {
      TOKEN: '007',
      WATCH: '1',
      RATIO: '0.5',
      HOSTS: 'a.example, *.b.example',
      HEALTH_PORT: '8081',
      PORTS: '1,22',
    });
    t.match(given, {
      TOKEN: '007',
      WATCH: true,
      RATIO: 0.5,
      HOSTS: ['a.example', '*.b.example'],
      HEALTH_PORT: 8081,
      PORTS: ['1', '22'],
    });
    for (const [text, value] of Object.entries({ true: true, false: false, '1': true, '0': false }))
      t.equal(loadConfig(Settings, { TOKEN: 'x', WATCH: text }).WATCH, value, text);
  });

  await t.test('every wrong one is named, none repeated', async (t) => {
    const wrong = {
      KEY_PREFIX: 'sec:ret',
      LOG_LEVEL: 'secret',
      HEALTH_PORT: 'secret',
      JOB_LOCK_MS: '999',
      S3_ENDPOINT: 'secret.example',
      WATCH: 'secret',
      RATIO: '-1e5secret',
      PORTS: '1,secret',
    };
    const message = problemsOf(() => loadConfig(Settings, wrong));
    for (const name of [...Object.keys(wrong), 'TOKEN']) t.match(message, new RegExp(`(^|; )${name} `), name);
    t.notMatch(message, /secret|sec:ret|999/);
    t.match(message, /TOKEN is missing: what opens the door/);
  });

  for (const [name, text] of [
    ['HEALTH_PORT', '65536'],
    ['HEALTH_PORT', '-1'],
    ['HEALTH_PORT', '80.5'],
    ['HEALTH_PORT', '0x50'],
    ['HEALTH_PORT', ' 80'],
    ['WATCH', 'yes'],
    ['WATCH', 'TRUE'],
  ] as const)
    t.match(
      problemsOf(() => loadConfig(Settings, { TOKEN: 'x', [name]: text })),
      new RegExp(`^${name} `),
      `${name}=${text}`,
    );
});
