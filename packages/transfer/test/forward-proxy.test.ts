import { loadConfig } from '@khumbu/shared/runtime/config';
import t from 'tap';
import { Type } from 'typebox';
import { chooseProxy, PROXY_SETTINGS, proxyRules } from '../src/http/forward-proxy.js';

const rulesOf = (env: Record<string, string>) => proxyRules(loadConfig(Type.Object(PROXY_SETTINGS), env));
const chosen = (env: Record<string, string>, url: string): string | undefined =>
  chooseProxy(rulesOf(env), new URL(url))?.origin;
const [HTTP, HTTPS, OWN] = ['http://h.example:3128', 'https://s.example', 'http://own.example'] as const;

void t.test('which proxy a location goes through', async (t) => {
  const both = { HTTP_PROXY: HTTP, HTTPS_PROXY: HTTPS };
  const cases: [string, Record<string, string>, string | undefined, string | undefined][] = [
    ['nothing', {}, undefined, undefined],
    ['both', both, HTTP, HTTPS],
    ['empty', { HTTP_PROXY: '', https_proxy: '' }, undefined, undefined],
    ['one', { HTTP_PROXY: HTTP }, HTTP, undefined],
    ['lower case', { http_proxy: HTTP, https_proxy: HTTPS }, HTTP, HTTPS],
    ['lower case goes first', { ...both, http_proxy: OWN, https_proxy: OWN }, OWN, OWN],
    ['the setting goes before all', { ...both, http_proxy: HTTP, LOCATION_PROXY: OWN }, OWN, OWN],
    ['the setting says none', { ...both, LOCATION_PROXY: 'none' }, undefined, undefined],
    ['the setting says it in capitals', { ...both, LOCATION_PROXY: 'NONE' }, undefined, undefined],
    ['no scheme', { HTTP_PROXY: 'h.example:3128' }, HTTP, undefined],
  ];
  for (const [name, env, http, https] of cases) {
    t.equal(chosen(env, 'http://fw.example/a'), http, name);
    t.equal(chosen(env, 'https://fw.example/a'), https, name);
  }
});

void t.test('a proxy is read with its credentials, and kept apart from them', async (t) => {
  const proxy = chooseProxy(rulesOf({ http_proxy: 'https://us%20er:p%40ss@[::1]:8443/' }), new URL('http://a.example'));
  t.match(proxy, { host: '::1', port: 8443, isTls: true, credentials: { username: 'us er', password: 'p@ss' } });
  t.equal(proxy?.origin, 'https://[::1]:8443');
  t.match(chooseProxy(rulesOf({ http_proxy: 'http://a.example' }), new URL('http://b')), { port: 80, isTls: false });
});

void t.test('what NO_PROXY leaves out', async (t) => {
  const cases: [string, string, boolean][] = [
    ['*', 'http://fw.example/', true],
    ['fw.example', 'http://fw.example/', true],
    ['fw.example', 'http://FW.Example:8080/', true],
    ['fw.example', 'http://a.b.fw.example/', true],
    ['fw.example', 'http://notfw.example/', false],
    ['.fw.example', 'http://a.fw.example/', true],
    ['.fw.example', 'http://fw.example/', true],
    ['*.fw.example', 'https://a.fw.example/', true],
    ['FW.EXAMPLE.', 'http://fw.example./', true],
    ['example', 'http://fw.example/', true],
    ['fw.example:8080', 'http://fw.example:8080/', true],
    ['fw.example:8080', 'http://fw.example/', false],
    ['fw.example:443', 'https://fw.example/', true],
    ['other.example, fw.example', 'http://fw.example/', true],
    ['other.example fw.example', 'http://fw.example/', true],
    ['10.0.0.7', 'http://10.0.0.7:99/', true],
    ['10.0.0.7', 'http://10.0.0.70/', false],
    ['10.0.0.7:99', 'http://10.0.0.7/', false],
    ['10.0.0.0/8', 'http://10.200.3.4/', true],
    ['10.0.0.0/8', 'http://11.0.0.1/', false],
    ['10.0.0.0/8', 'http://0xa.1.2.3/', true],
    ['10.0.0.0/8', 'http://[::ffff:10.1.2.3]/', true],
    ['10.0.0.0/8', 'http://10.example/', false],
    ['0.0.0.0/0', 'http://9.9.9.9/', true],
    ['fd00::/8', 'http://[fd12::1]/', true],
    ['fd00::/8', 'http://[fe80::1]/', false],
    ['::1', 'http://[::1]/', true],
    ['[::1]', 'http://[::1]:81/', true],
    ['[::1]:81', 'http://[::1]/', false],
    ['[fd00::]/8', 'http://[fd00::5]/', true],
    ['localhost,127.0.0.0/8', 'http://127.3.2.1/', true],
    ['localhost', 'http://localhost:8/', true],
    ['0.0.0', 'http://10.0.0.0/', false],
    ['', 'http://fw.example/', false],
    ['10.*', 'http://10.200.3.4/', true],
    ['10.*.*.*', 'http://11.0.0.1/', false],
    ['192.168.*', 'http://192.168.3.4/', true],
    ['192.168.*', 'http://192.169.3.4/', false],
    ['*.local, 169.254/16', 'http://169.254.7.7/', true],
    ['*.local, 169.254/16', 'http://fw.local/', true],
    ['172.16/12', 'http://172.31.0.1/', true],
    ['münchen.example', 'http://fw.xn--mnchen-3ya.example/', true],
    ['xn--mnchen-3ya.example', 'http://MÜNCHEN.example/', true],
  ];
  for (const [list, url, direct] of cases) {
    t.equal(chosen({ LOCATION_PROXY: OWN, NO_PROXY: list }, url), direct ? undefined : OWN, `${list} ${url}`);
  }
  const lower = { LOCATION_PROXY: OWN, NO_PROXY: 'fw.example', no_proxy: 'other.example' };
  t.equal(chosen(lower, 'http://fw.example/'), OWN, 'lower case goes first');
  t.equal(chosen({ ...lower, no_proxy: '' }, 'http://fw.example/'), undefined, 'what is empty is not given');
});

void t.test('what cannot be read stops the start, and is not repeated', async (t) => {
  const bad: Record<string, string>[] = [
    { HTTP_PROXY: 'socks5://hush.example:1080' },
    { https_proxy: 'http://hush:%zz@proxy' },
    { LOCATION_PROXY: 'http://hush hush' },
    { LOCATION_PROXY: 'http://' },
    { NO_PROXY: 'good.example,10.0.0.0/33', HTTP_PROXY: HTTP },
    { NO_PROXY: '10.*.3', HTTP_PROXY: HTTP },
    { NO_PROXY: '10.1/99', LOCATION_PROXY: OWN },
    { NO_PROXY: 'http://hush.example', LOCATION_PROXY: OWN },
    { no_proxy: 'hush.example/8', https_proxy: HTTPS },
  ];
  for (const env of bad) {
    const [name = ''] = Object.keys(env);
    t.throws(() => rulesOf(env), { code: 'CONFIG_INVALID', message: new RegExp(`^${name}`) }, JSON.stringify(env));
    t.throws(() => rulesOf(env), { message: /^(?!.*hush)/ });
  }
  t.doesNotThrow(
    () => rulesOf({ LOCATION_PROXY: 'none', HTTP_PROXY: 'socks5://x' }),
    'what does not count is not read',
  );
  for (const env of [{}, { LOCATION_PROXY: 'none', HTTP_PROXY: HTTP }])
    t.doesNotThrow(() => rulesOf({ ...env, NO_PROXY: '<local>;http://a' }), 'exceptions without a proxy do not count');
});
