import type { BulkResult } from '@khumbu/client/generated/rest-api';
import t from 'tap';
import { isUndecided, sendUntilDecided } from '../src/send-until-decided.js';

const answer = (...statuses: readonly number[]): BulkResult => ({
  orderId: 'bulk-1',
  dryRun: false,
  total: statuses.length,
  accepted: statuses.filter((status) => status === 202).length,
  refused: statuses.filter((status) => status !== 202).length,
  results: statuses.map((status, index) => ({ stationId: `cs-${index}`, status })),
});

/** Sends that are answered one after the other, an error is thrown. */
async function outcomeOf(answers: readonly (BulkResult | Error)[], goOnMs?: number) {
  const told: BulkResult[] = [];
  let sent = 0;
  const send = async (): Promise<BulkResult> => {
    const next = answers[sent];
    sent += 1;
    if (!next) throw new Error('it was decided');
    if (next instanceof Error) throw next;
    return next;
  };
  const failed = await sendUntilDecided(send, (result) => told.push(result), goOnMs).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { told, sent, failed };
}

void t.test('it is sent again while a station was put off', async (t) => {
  const answers = [answer(202, 503, 503), answer(202, 409, 503), answer(202, 409, 202)];
  t.same(await outcomeOf(answers), { told: answers, sent: 3, failed: undefined });
});

void t.test('what is decided is not sent again', async (t) => {
  for (const decided of [answer(202), answer(409), answer(500), answer(), { ...answer(503), dryRun: true }])
    t.equal((await outcomeOf([decided])).sent, 1);
});

void t.test('not for ever', async (t) => {
  t.equal((await outcomeOf([answer(503), answer(503)], 0)).sent, 1);
});

void t.test('what was told holds when it fails later', async (t) => {
  const [first, lost] = [answer(202, 503), new Error('nobody there')];
  t.same(await outcomeOf([first, lost]), { told: [first], sent: 2, failed: lost });
});

void t.test('a gateway goes on with these when the order comes again', async (t) => {
  for (const [status, expected] of [
    [202, false],
    [409, false],
    [500, true],
    [503, true],
  ] as const)
    t.equal(isUndecided({ stationId: 'cs-1', status }), expected, String(status));
});
