/** Which parts of a query make a location another one. */
import { ignoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import t from 'tap';

const ignored = ignoredParameters({
  IGNORED_LOCATION_PARAMETERS: ['token'],
  IGNORED_LOCATION_PARAMETERS_BY_HOST: ['*.amazonaws.com=X-Amz-*', 'fw.example:8443=sig|se|sp', '[fd00::7]=Key'],
});

const SIGNED =
  'https://b.s3.eu-central-1.amazonaws.com/fw.bin?versionId=7&X-Amz-Date=20261129T000000Z&X-Amz-Signature=ab&x-amz-acl=1';

void t.test('a parameter does not count at the hosts that it is listed for', async (t) => {
  const at = (location: string, ...names: string[]) =>
    names.filter((name) => ignored(location).includes(name)).join(' ');
  t.equal(at(SIGNED, 'versionId', 'X-Amz-Date', 'X-Amz-Signature', 'x-amz-acl'), 'X-Amz-Date X-Amz-Signature');
  t.equal(at('https://amazonaws.com/f?X-Amz-Date=1', 'X-Amz-Date'), '', '*.suffix is not the suffix itself');
  t.equal(at('https://fw.example:8443/f?sig=1&se=2&v=3', 'sig', 'se', 'v', 'token'), 'sig se token');
  t.equal(at('https://fw.example/f?sig=1', 'sig', 'token'), 'token', 'another port is another server');
  t.equal(at('http://[fd00:0::7]/f?Key=1', 'Key'), 'Key');
  t.equal(at('s3://bucket/key', 'token'), 'token');
  t.equal(at('not a location', 'token'), 'token');
});

void t.test(
  'what a location without signature shares with one that has it does not depend on what is there',
  async (t) => {
    const names = (location: string) => ignored(location).filter((name) => name === 'sig' || name === 'sp');
    t.same(names('https://fw.example:8443/f?v=1'), ['sig', 'sp']);
  },
);

void t.test('a setting that cannot be read stops the start', async (t) => {
  const read = (text: string) => () =>
    ignoredParameters({ IGNORED_LOCATION_PARAMETERS: [], IGNORED_LOCATION_PARAMETERS_BY_HOST: [text] });
  t.throws(read('fw.example'), { code: 'CONFIG_INVALID' });
  t.throws(read('fw.example:99999=sig'), { code: 'CONFIG_INVALID' });
});
