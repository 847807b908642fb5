/** Statuses that wait for a boot, told to an EVerest that comes back long after its host. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { depot, leads, startGateway } from './gateway-process.js';
import { PERIODS, setMqttStage } from './mqtt-stage.js';
import { askInNewBoot } from './new-boot.js';

const { announce, servers, station, storeOf } = await setMqttStage(t);

const PATIENCE_MS = 60_000;
const SETTLE_MS = 2500;

for (const first of ['its question', 'its heartbeat'] as const)
  void t.test(
    `the pause before the status after a boot is counted from EVerest’s return: ${first} comes first`,
    async (t) => {
      const place = await depot(t, servers);
      await leads(await startGateway(t, place));
      const before = await station(t, place, { discovery: PERIODS });
      await askUntilDecided('get_boot_reason', () => before.request('get_boot_reason'));
      for (const id of [100, 101, 102]) await before.publishRaw('heartbeat', String(id));
      await before.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
      await before.close(true);
      const { monotonic } = momentOf(Date.now());
      const restartExpected = JSON.stringify({ reason: 'FirmwareUpdate', at: monotonic, operationId: 'o-1' });
      await storeOf(place).commit(storeOf(place).transaction().setStation('cs-1', { restartExpected }));
      // The host was seen booted at once; its EVerest takes longer than the pause.
      await announce(place, [[1, 'Installed']], { at: monotonic, settleMs: SETTLE_MS, begunAt: monotonic });
      const left = performance.now();
      await awaitUntil(() => performance.now() - left > 1.5 * SETTLE_MS, PATIENCE_MS, 'longer than the pause');

      const after = await station(t, place, { discovery: PERIODS });
      if (first === 'its question') {
        const asked = await askInNewBoot(after, { store: storeOf(place), epoch: 1 });
        t.equal(asked.reply, 'FirmwareUpdate');
      }
      const backAt = performance.now();
      after.startHeartbeats(PERIODS.heartbeat_period_ms);
      const { atMs } = await after.awaitStatus(1, 'Installed', PATIENCE_MS);
      t.ok(atMs - backAt >= SETTLE_MS - 50, `${Math.round(atMs - backAt)} ms after its first heartbeat`);
      t.same(after.statusNames(1), ['Installed']);
    },
  );
