/** Faults of http and https. */
import { join } from 'node:path';
import { createLocationPolicy, type LocationPolicy } from '@khumbu/shared/locations/policy';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { makeAuthority } from '@khumbu/test-support/certificates';
import { type Behaviour, type Origin, startOrigin } from '@khumbu/test-support/origin';
import { rawServer } from '@khumbu/test-support/raw-server';
import type { Test } from 'tap';
import { type Fault, final, type Played, passing } from './fault.js';

const RULES = {
  allowedSchemes: ['http', 'https', 's3', 'ftp', 'ftps', 'sftp'],
  allowedHosts: [],
  allowLoopback: true,
  store: { bucket: 'depot', logPrefixes: ['logs/', 's3://missing/logs/'], firmwarePrefixes: [] },
} as const;
export const policy = createLocationPolicy(RULES);
/** Every name leads here, or to nowhere with this code. */
const policyOfNames = (answer: string): LocationPolicy =>
  createLocationPolicy(RULES, (_name, _options, done) =>
    answer.startsWith('E')
      ? done(Object.assign(new Error('no answer'), { code: answer }), [])
      : done(null, [{ address: answer, family: 4 }]),
  );

export async function webFaults(t: Test): Promise<readonly Fault[]> {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const arrivedAt =
    (path: string, from: Origin = origin) =>
    (): Buffer => {
      const good = from.uploads.items.filter((upload) => upload.path === path && upload.status === 201);
      // Who gave up may have been taken all the same, and heard nothing of it.
      return good.at(-1)?.body ?? Buffer.alloc(0);
    };
  let count = 0;
  const behaving = (behaviour: Behaviour, context = {}): Played => {
    const path = `/fault-${++count}`;
    return {
      broken: { location: origin.receive(path, behaviour), context },
      mend: () => {
        origin.receive(path);
        return { context: {} };
      },
      arrived: arrivedAt(path),
    };
  };
  const saying = (status: number) => (): Played => behaving({ status });
  /** What is at another place then. */
  const elsewhere = (location: string, context = {}): Played => {
    const path = `/fault-${++count}`;
    return {
      broken: { location, context },
      mend: () => ({ location: origin.receive(path), context: {} }),
      arrived: arrivedAt(path),
    };
  };
  const named = (broken: LocationPolicy): Played => {
    const path = `/fault-${++count}`;
    origin.receive(path);
    return {
      broken: { location: `http://logs.example:${origin.port}${path}`, context: { policy: broken } },
      mend: () => ({ context: { policy: policyOfNames('127.0.0.1') } }),
      arrived: arrivedAt(path),
    };
  };
  const dir = t.testdir({});
  const secure = await startOrigin({ tlsDir: join(dir, 'origin') });
  t.teardown(() => secure.close());
  secure.receive('/secure');
  const authority = await makeAuthority(join(dir, 'ca'));
  const tlsServer = async (more: object): Promise<Played> => {
    const issued = await authority.issue({ name: `n${++count}`, subjectAltName: 'IP:127.0.0.1', ...more });
    const port = await rawServer(t, () => {}, { key: issued.keyPem, cert: issued.certificatePem });
    return elsewhere(`https://127.0.0.1:${port}/x`, { ca: authority.certificatePem });
  };
  const day = 86_400_000;
  const past = { notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) };
  return [
    passing('the name of the host does not exist', 'connection', () => named(policyOfNames('ENOTFOUND'))),
    passing('no name server answers', 'connection', () => named(policyOfNames('EAI_AGAIN'))),
    passing('the port is closed', 'connection', async () => {
      const port = await freePort();
      let late: Origin | undefined;
      return {
        broken: { location: `http://127.0.0.1:${port}/late` },
        async mend() {
          late = await startOrigin({ port });
          t.teardown(() => late?.close());
          late.receive('/late');
          return undefined;
        },
        arrived: () => arrivedAt('/late', late)(),
      };
    }),
    passing('the certificate is not trusted', 'connection', () => ({
      broken: { location: `${secure.url}/secure` },
      mend: () => ({ context: { ca: secure.caPem } }),
      arrived: arrivedAt('/secure', secure),
    })),
    passing('the certificate has expired', 'connection', () => tlsServer(past)),
    passing('the certificate is of another name', 'connection', () =>
      tlsServer({ subjectAltName: 'DNS:other.example' }),
    ),
    passing('the port speaks no TLS', 'connection', () => elsewhere(`https://127.0.0.1:${origin.port}/x`)),
    passing('nothing comes for the stall limit', 'connection', () =>
      behaving({ stallAfterBytes: 0 }, { stallMs: 300 }),
    ),
    passing('the connection is cut in the body', 'connection', () => behaving({ cutAfterBytes: 1000 })),
    passing('what answers does not speak HTTP', 'connection', async () => {
      const port = await rawServer(t, (socket) => socket.end('220 depot FTP server ready\r\n'));
      return elsewhere(`http://127.0.0.1:${port}/x`);
    }),
    passing('it is redirected, which uploads do not follow', 'http_307', () =>
      behaving({ status: 307, redirect: '/other' }),
    ),
    passing('404', 'http_404', saying(404)),
    passing('408', 'http_408', saying(408)),
    passing('429', 'http_429', saying(429)),
    passing('500', 'http_500', saying(500)),
    passing('502', 'http_502', saying(502)),
    passing('503, with a Retry-After', 'http_503', () => behaving({ status: 503, headers: { 'retry-after': '0' } })),
    passing('504', 'http_504', saying(504)),
    passing('507: the disk there is full', 'http_507', saying(507)),
    final('400', 'BadMessage', 'http_400', saying(400)),
    final('401', 'PermissionDenied', 'http_401', saying(401)),
    final('403: a presigned URL has expired', 'PermissionDenied', 'http_403', saying(403)),
    final('405', 'NotSupportedOperation', 'http_405', saying(405)),
    final('409', 'BadMessage', 'http_409', saying(409)),
    final('411', 'BadMessage', 'http_411', saying(411)),
    final('413', 'BadMessage', 'http_413', saying(413)),
    final('415', 'BadMessage', 'http_415', saying(415)),
    final('501', 'NotSupportedOperation', 'http_501', saying(501)),
    passing('the name leads to an address of a cloud’s metadata', 'connection', () =>
      named(policyOfNames('169.254.169.254')),
    ),
    final('the scheme is not allowed any more', 'PermissionDenied', 'location_refused', () => {
      const allowed = createLocationPolicy({ ...RULES, logSchemes: ['https'] });
      const path = `/fault-${++count}`;
      origin.receive(path);
      return {
        broken: { location: `${origin.url}${path}`, context: { policy: allowed } },
        mend: () => ({ context: { policy } }),
        arrived: arrivedAt(path),
      };
    }),
  ];
}
