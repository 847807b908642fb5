import { loadConfig } from '@khumbu/shared/runtime/config';
import t from 'tap';
import { Type } from 'typebox';

const Schema = Type.Object({
  REDIS_URL: Type.String({ default: 'redis://127.0.0.1:6379', pattern: '^rediss?://', description: 'Redis server.' }),
  TRIES: Type.Integer({ default: 3, minimum: 1, description: 'Tries.' }),
  MQTT_CA: Type.Optional(Type.String({ description: 'Something whose file is a setting of its own.' })),
  MQTT_CA_FILE: Type.Optional(Type.String({ description: 'Path of a certificate.' })),
  API_SECRET: Type.String({ description: 'A secret that must be there.' }),
});
const SECRET = 'tower-of-babel';

void t.test('a setting by its file, without the line end', async (t) => {
  const dir = t.testdir({ url: `redis://:${SECRET}@redis:6379\n`, secret: ` ${SECRET}\n\r\n`, tries: '7' });
  const config = loadConfig(Schema, {
    REDIS_URL_FILE: `${dir}/url`,
    REDIS_URL: '',
    API_SECRET_FILE: `${dir}/secret`,
    TRIES_FILE: `${dir}/tries`,
  });
  t.same(config, { REDIS_URL: `redis://:${SECRET}@redis:6379`, API_SECRET: ` ${SECRET}\n`, TRIES: 7 });
});

void t.test('an empty _FILE counts as unset, and a setting that ends in _FILE is a path', async (t) => {
  const dir = t.testdir({ ca: 'PEM' });
  const config = loadConfig(Schema, { API_SECRET: SECRET, REDIS_URL_FILE: '', MQTT_CA_FILE: `${dir}/ca` });
  t.same(config, { REDIS_URL: 'redis://127.0.0.1:6379', TRIES: 3, API_SECRET: SECRET, MQTT_CA_FILE: `${dir}/ca` });
});

void t.test('what is wrong is said by name, all at once, and no content is repeated', async (t) => {
  const dir = t.testdir({ empty: '\n', tries: SECRET, folder: {} });
  const attempt = (env: Record<string, string>): string => {
    try {
      loadConfig(Schema, env);
      return 'nothing';
    } catch (error) {
      t.match(error, { code: 'CONFIG_INVALID' });
      return (error as Error).message;
    }
  };
  const message = attempt({
    REDIS_URL_FILE: `${dir}/nowhere`,
    API_SECRET_FILE: `${dir}/empty`,
    TRIES_FILE: `${dir}/tries`,
  });
  t.match(message, 'REDIS_URL_FILE names a file that cannot be read (ENOENT)');
  t.match(message, 'API_SECRET_FILE names an empty file');
  t.match(message, /; TRIES .*integer/);
  t.notMatch(message, SECRET);
  t.match(attempt({ API_SECRET_FILE: `${dir}/folder` }), 'API_SECRET_FILE names a file that cannot be read (EISDIR)');
  t.match(
    attempt({ API_SECRET: SECRET, API_SECRET_FILE: `${dir}/tries` }),
    /API_SECRET and API_SECRET_FILE are both set/,
  );
  t.match(attempt({}), 'API_SECRET is missing');
});
