/** Which object in the store is still the archive of an upload. */
import { isArchiveOf } from '@khumbu/operations/kinds/log-upload/archive-object';
import { toldFault } from '@khumbu/operations/records/told-fault';
import t from 'tap';

const archive = { bucket: 'depot', key: 'logs/cs-1/x', etag: 'e1', sha256: 'aa' };
const mark = { 'khumbu-operation': 'op-1', 'khumbu-sha256': 'aa' };
const seen = { bytes: 7, etag: 'e1', metadata: mark };
const record = { id: 'op-1', sizeBytes: 7, archive };

void t.test('an archive is known by its operation, its size and its hashes', async (t) => {
  t.ok(isArchiveOf(record, seen));
  t.ok(isArchiveOf(record, { ...seen, metadata: { 'khumbu-operation': 'op-1' } }), 'sent in parts');
  const { sha256: _unknown, ...found } = archive;
  t.ok(isArchiveOf({ ...record, archive: found }, seen), 'found by another worker');
  const others = [
    { ...seen, metadata: {} },
    { ...seen, metadata: { ...mark, 'khumbu-operation': 'op-2' } },
    { ...seen, metadata: { ...mark, 'khumbu-sha256': 'bb' } },
    { ...seen, etag: 'e2' },
    { ...seen, bytes: 8 },
  ];
  for (const other of others) t.notOk(isArchiveOf(record, other), JSON.stringify(other));
});

void t.test('records that note no hash: the mark and the size count', async (t) => {
  const old = { id: 'op-1', sizeBytes: 7 };
  t.ok(isArchiveOf(old, { ...seen, metadata: { 'khumbu-operation': 'op-1' } }));
  t.ok(isArchiveOf({ id: 'op-1' }, { ...seen, metadata: { 'khumbu-operation': 'op-1' } }));
  t.notOk(isArchiveOf(old, { ...seen, bytes: 8 }));
  t.notOk(isArchiveOf(old, { ...seen, metadata: {} }));
});

void t.test('how a connection failed is told to those with a key of the depot alone', async (t) => {
  const reasons = [
    'dns',
    'connect',
    'tls',
    'cut',
    'stalled',
    'bad_response',
    'connection',
    'proxy_502',
    'proxy_403',
  ] as const;
  const faults = reasons.map((reason) => ({ reason, message: `10.0.0.1: ${reason}` }));
  const told = faults.map((fault) => toldFault(fault, 'everest'));
  t.equal(new Set(told.map((fault) => JSON.stringify(fault))).size, 1, 'one word and one sentence for all');
  t.match(told[0], { reason: 'connection' });
  for (const fault of faults) t.same(toldFault(fault, 'rest'), fault);
  for (const reason of ['http_404', 'too_large', 'proxy_407', 'proxy_unreachable', 'location_refused'] as const) {
    const answer = { reason, message: 'in its own words' };
    t.same(toldFault(answer, 'everest'), answer, reason);
  }
});
