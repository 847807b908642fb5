import { createCopyRecords } from '@khumbu/operations/log-copies/copy-records';
import { type BegunCopy, copyOf, type LogCopy } from '@khumbu/operations/log-copies/log-copy';
import { copyRules, keptUntil } from '@khumbu/operations/log-copies/settings';
import { keysFor } from '@khumbu/operations/records/keys';
import t from 'tap';
import { logRecord } from './make-records.js';
import { newPrefix, redis } from './store-stage.js';

const DAY_MS = 24 * 3600_000;

const copy = (operationId: string, changes: Partial<LogCopy> = {}): LogCopy => ({
  operationId,
  station: 'cs-1',
  type: 'DiagnosticsLog',
  bucket: 'khumbu',
  key: `logs/cs-1/${operationId}.tar.gz`,
  fileName: `${operationId}.tar.gz`,
  format: 'gzip',
  createdAt: 1000,
  bytes: 10,
  etag: 'e',
  ...changes,
});

const fresh = () => {
  const keys = keysFor(newPrefix());
  return { keys, records: createCopyRecords(redis, keys) };
};

void t.test('a copy that is kept twice counts once; one that is dropped leaves nothing behind', async (t) => {
  const { records, keys } = fresh();
  const { bytes: _bytes, etag: _etag, ...begun } = copy('a');
  await records.begin(begun satisfies BegunCopy);
  t.strictSame(await records.begun(), [begun]);
  await records.keep(copy('a'));
  await records.keep(copy('a', { bytes: 30 }));
  await records.keep(copy('b', { type: 'SecurityLog', bytes: 5 }));
  t.strictSame(await records.begun(), []);
  t.strictSame(await records.sums(), {
    DiagnosticsLog: { copies: 1, bytes: 30 },
    SecurityLog: { copies: 1, bytes: 5 },
  });
  t.match(await records.find('a'), { bytes: 30 });
  t.equal(await records.drop(copy('a')), true);
  t.equal(await records.drop(copy('a')), false, 'two workers sweep');
  t.equal(await records.find('a'), undefined);
  t.match(await records.sums(), { DiagnosticsLog: { copies: 0, bytes: 0 }, SecurityLog: { copies: 1, bytes: 5 } });
  t.equal(await redis.zcard(keys.logCopiesOf('cs-1')), 1);
  t.strictSame(
    (await records.page({}, 10)).copies.map(({ operationId }) => operationId),
    ['b'],
  );
});

void t.test('pages: by station, type and date, the newest first, none twice and none left out', async (t) => {
  const { records } = fresh();
  const all: string[] = [];
  for (let n = 0; n < 450; n += 1) {
    const operationId = `log-${String(n).padStart(3, '0')}`;
    all.unshift(operationId);
    const type = n % 3 === 0 ? 'SecurityLog' : 'DiagnosticsLog';
    // Many were asked for in the same millisecond, as a collection does.
    await records.keep(copy(operationId, { createdAt: 1000 + Math.floor(n / 210), type, station: `cs-${n % 2}` }));
  }
  const read = async (filter: Parameters<typeof records.page>[0], limit: number): Promise<string[]> => {
    const found: string[] = [];
    for (let place: Parameters<typeof records.page>[2]; ; ) {
      const { copies, next } = await records.page(filter, limit, place);
      found.push(...copies.map(({ operationId }) => operationId));
      if (!next) return found;
      t.equal(copies.length, limit);
      place = next;
    }
  };
  const number = (id: string): number => Number(id.slice(4));
  t.strictSame(await read({}, 100), all);
  t.strictSame(
    await read({ station: 'cs-1' }, 7),
    all.filter((id) => number(id) % 2 === 1),
  );
  t.strictSame(
    await read({ type: 'SecurityLog' }, 50),
    all.filter((id) => number(id) % 3 === 0),
  );
  t.strictSame(
    await read({ station: 'cs-0', type: 'SecurityLog' }, 50),
    all.filter((id) => number(id) % 6 === 0),
  );
  t.strictSame(
    await read({ since: 1001, until: 1001 }, 200),
    all.filter((id) => Math.floor(number(id) / 210) === 1),
  );
  t.strictSame(
    (await records.oldest('SecurityLog', 2, 1001)).map(({ operationId }) => operationId),
    ['log-000', 'log-003'],
  );
});

void t.test('what is kept, where, and until when', (t) => {
  const record = logRecord({ id: 'log-upload-x-0123456789', station: 'a/b', logType: 'SecurityLog' });
  t.match(copyOf(record, 'depot'), {
    bucket: 'depot',
    key: /^logs\/a=2Fb\/a_b-SecurityLog-\d{8}T\d{6}Z-23456789\.tar\.gz$/,
    type: 'SecurityLog',
    createdAt: record.createdAt,
  });
  const rules = copyRules({ LOG_COPY_DIAGNOSTICS_DAYS: 30, LOG_COPY_SECURITY_DAYS: 0, LOG_COPIES_QUOTA_BYTES: 0 });
  t.equal(keptUntil(rules, { type: 'DiagnosticsLog', createdAt: 5 }), 5 + 30 * DAY_MS);
  t.equal(keptUntil(rules, { type: 'SecurityLog', createdAt: 5 }), undefined);
  t.notHas(rules, { quotaBytes: 0 });
  t.end();
});
