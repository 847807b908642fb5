import { usableBytes } from '@khumbu/ota-worker/fetching/resume-download';
import t from 'tap';

const A = '"a"';

void t.test('which bytes of a left file count', async (t) => {
  const sidecar = { validators: { etag: A }, total: 100, bootId: 'one', syncedBytes: 30, closed: false };
  t.equal(usableBytes(60, sidecar, 'one'), 60, 'same boot: what the kernel has');
  t.equal(usableBytes(60, sidecar, 'two'), 30, 'another boot: what was synced');
  t.equal(usableBytes(20, sidecar, 'two'), 20);
  t.equal(usableBytes(101, sidecar, 'one'), 0, 'longer than it can be');
  t.equal(usableBytes(60, { ...sidecar, validators: {} }, 'one'), 0);
  t.equal(usableBytes(60, undefined, 'one'), 0);
});
