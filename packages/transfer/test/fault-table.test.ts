import t from 'tap';
import { FAULTS, uploadStatusOf, verdictOf } from '../src/faults/fault-table.js';
import { TransferError } from '../src/transfer-error.js';

const GET = { direction: 'get', scheme: 'https' } as const;
const PUT = { direction: 'put', scheme: 'https' } as const;

void t.test('at least 60 rows, each with what to do, no two of one scheme about the same fault', async (t) => {
  t.ok(FAULTS.length >= 60, String(FAULTS.length));
  for (const { fault, advice, get, put } of FAULTS) {
    t.match(fault, /^\S.*\.$/, fault);
    t.match(advice, /^[A-Z].*\.$/, fault);
    t.ok(get ?? put, fault);
  }
  const named = FAULTS.flatMap(({ schemes, fault }) => schemes.map((scheme) => `${scheme} ${fault}`));
  t.same(named.toSorted(), [...new Set(named)].toSorted());
});

void t.test('a reason means the same in all rows of a scheme and a direction', async (t) => {
  for (const direction of ['get', 'put'] as const) {
    const known = new Map<string, string>();
    for (const row of FAULTS) {
      const outcome = row[direction];
      if (!outcome) continue;
      for (const scheme of row.schemes) {
        const said = `${outcome.status} ${outcome.retried}`;
        const key = `${direction} ${scheme} ${outcome.reason}`;
        t.equal(known.get(key) ?? said, said, key);
        known.set(key, said);
      }
    }
  }
});

void t.test('a status without a row counts as the rest of its family', async (t) => {
  const retried = (direction: 'get' | 'put', reason: `http_${number}` | `proxy_${number}`) =>
    verdictOf(direction, reason, 'http').retried;
  t.same(
    [404, 418, 499, 100, 206, 304].map((status) => retried('get', `http_${status}`)),
    Array(6).fill(false),
  );
  t.same(
    [408, 425, 429, 500, 501, 599].map((status) => retried('get', `http_${status}`)),
    Array(6).fill(true),
  );
  t.same(
    [400, 401, 403, 407, 418].map((status) => retried('get', `proxy_${status}`)),
    Array(5).fill(false),
  );
  t.same(
    [408, 425, 429, 502].map((status) => retried('put', `proxy_${status}`)),
    Array(4).fill(true),
  );
  t.equal(uploadStatusOf('http_418', 'http'), 'BadMessage');
  t.equal(uploadStatusOf('http_599', 'http'), 'UploadFailure');
  t.equal(uploadStatusOf('proxy_401', 'https'), 'PermissionDenied');
});

void t.test('an error is retried as its row says, unless the server knows better', async (t) => {
  t.match(new TransferError(GET, 'http_404', 'the server answered 404'), {
    code: 'TRANSFER_FAILED',
    retryable: false,
    advice: /path of the location/,
  });
  t.equal(new TransferError(PUT, 'http_404', 'the server answered 404').retryable, true);
  t.equal(new TransferError({ direction: 'get', scheme: 's3' }, 'http_403', 'x').retryable, true, 'a clock');
  t.equal(new TransferError(GET, 'http_403', 'x', { retryable: true, retryAfterS: 3 }).retryAfterS, 3);
  t.throws(() => new TransferError(PUT, 'web_page' as 'dns', 'x'), /no row of the fault table/);
});
