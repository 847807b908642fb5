/** What a command at a station leaves behind in a worker that lives for months. */
import { getEventListeners } from 'node:events';
import t from 'tap';
import { call } from '../src/station/call.js';
import { localTransport } from '../src/transports/local.js';
import type { Transport } from '../src/transports/transport.js';

await t.test('nothing listens to a signal any more when its command has ended', async (t) => {
  const given: AbortSignal[] = [];
  const transport: Transport = {
    ...localTransport,
    begin: (argv, signal) => {
      given.push(signal);
      return localTransport.begin(argv, signal);
    },
  };
  const worker = new AbortController();
  const options = { signal: worker.signal, timeoutMs: 60_000 };
  t.match(await call(transport, ['sh', '-c', 'echo out; exit 3'], options), { code: 3, stdout: Buffer.from('out\n') });
  await t.rejects(call(transport, ['yes'], { ...options, maxStdoutBytes: 10 }), { code: 'OUTPUT_TOO_LONG' });
  await t.rejects(call(transport, ['sleep', '1'], { ...options, timeoutMs: 50 }), { code: 'STATION_UNREACHABLE' });
  // A signal that is made of others is kept, with all that its listeners hold, for as long as it has one.
  t.same(
    given.map((signal) => getEventListeners(signal, 'abort').length),
    [0, 0, 0],
  );
  t.same(getEventListeners(worker.signal, 'abort'), []);
});
