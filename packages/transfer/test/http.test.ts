import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { type Behaviour, startOrigin } from '@khumbu/test-support/origin';
import { etagOf } from '@khumbu/test-support/origin-behaviour';
import t, { type Test } from 'tap';
import { conformance } from '../src/conformance/conformance.js';
import type { ConformanceServer } from '../src/conformance/conformance-server.js';

const policy = createLocationPolicy({ allowedSchemes: ['http', 'https'], allowedHosts: [], allowLoopback: true });
const auth = { user: 'op', password: 'h u/sh' };
const DAY_MS = 86_400_000;

/** Of a server that gets one of its partial answers wrong, or its validators. */
const LIES: Readonly<Record<string, Behaviour>> = {
  'another range': { lie: 'later' },
  'all of it as a part': { lie: 'from_zero' },
  'a part of whatever it has, without validators': { ignoresIfRange: true, etag: 'none', lastModified: false },
  'bytes from elsewhere': { ignoresIfRange: true, etag: 'none', lastModified: false, lie: 'elsewhere' },
  'no Content-Range': { lie: 'unsaid' },
  'another total': { lie: 'other_total' },
  'no total': { lie: 'no_total' },
  'a portion of it': { lie: 'portion' },
  'an end before its beginning': { lie: 'unordered' },
  'no ranges': { ranges: false },
  'one strong ETag for everything': { etag: '"one"' },
  'weak ETags': { etag: 'weak' },
  'no validators': { etag: 'none', lastModified: false },
  'a coding it was not asked for': { headers: { 'content-encoding': 'gzip' } },
  'no ranges and no answer': { noAnswer: true },
  'a refusal of ranges': { status: 416 },
  'a page instead of the file': { status: 204 },
};

async function makeServer(t: Test, isTls: boolean): Promise<ConformanceServer> {
  const origin = await startOrigin(isTls ? { tlsDir: t.testdir({}) } : {});
  t.teardown(() => origin.close());
  let content: Buffer = Buffer.alloc(0);
  /** What was served before it. */
  let former = content;
  let modified = Date.now() - 30 * DAY_MS;
  const behave = (...behaviours: Behaviour[]): void => {
    const all = behaviours.map((one) => ({ auth, ...one }));
    origin.serve('/fw image+1.bin'.replaceAll(' ', '%20'), content, all, new Date(modified));
  };
  const withLogin = (password: string): string =>
    origin.url.replace('//', `//${auth.user}:${encodeURIComponent(password)}@`);
  const login = withLogin(auth.password);
  origin.receive('/up', { auth });
  return {
    context: { policy, stallMs: 20_000, ca: origin.caPem },
    location: `${login}/fw%20image+1.bin?X-Signature=a%2Fb%2B`,
    absent: { location: `${login}/absent`, reason: 'http_404' },
    tellsUnchanged: true,
    serve(bytes) {
      former = content;
      content = bytes;
      modified += DAY_MS;
      behave({});
    },
    sent: () => origin.stats('/fw%20image+1.bin').bodyBytes,
    cutAfter: (cutAfterBytes) => behave({ cutAfterBytes }, {}),
    stallAfter: (stallAfterBytes) => behave({ stallAfterBytes }, {}),
    lies: [
      ...Object.entries(LIES).map(([name, behaviour]) => ({ name, begin: () => behave(behaviour, behaviour, {}) })),
      {
        name: 'the same length, ETag and date',
        begin() {
          modified -= DAY_MS;
          const etag = etagOf({ content: former, modified: new Date(modified) }, {}) as `"${string}"`;
          behave({ etag }, { etag }, {});
        },
      },
    ],
    upload: { location: `${login}/up/a.gz`, denied: `${withLogin('guess')}/up/a.gz`, deniedReason: 'http_401' },
    received: () => origin.uploads.items.findLast(({ status }) => status < 300)?.body,
    cutUpload: () => void origin.receive('/up', [{ auth, cutAfterBytes: 500_000 }, { auth }]),
    stallUpload: () => void origin.receive('/up', [{ auth, stallAfterBytes: 0 }, { auth }]),
  };
}

void t.test('http', (t) => conformance(t, (t) => makeServer(t, false)));
void t.test('https', (t) => conformance(t, (t) => makeServer(t, true)));
