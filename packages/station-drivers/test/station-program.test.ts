/** The program at the station, called as a driver calls it, on this host. */
import { join } from 'node:path';
import t from 'tap';
import { call } from '../src/station/call.js';
import { openLogStream } from '../src/station/log-stream.js';
import { createStationProgram } from '../src/station/station-program.js';
import { plainText } from '../src/station-text.js';
import { localTransport as transport } from '../src/transports/local.js';
import type { ProcessEnd, Transport } from '../src/transports/transport.js';

/** Exit codes of a command that a signal has ended. */
const BY_TERM = 128 + 15;

void t.test('a command that is to end before it has begun is asked to, and not left to its kill', async (t) => {
  const stateDir = join(t.testdir({}), 'state');
  const program = createStationProgram({ transport, stateDir, scripts: [], bootId: [] });
  const options = { signal: AbortSignal.timeout(180_000), timeoutMs: 150_000 };
  await program.prepare(options);
  for (let turn = 1; turn <= 10; turn += 1) {
    const nonce = `turn-${turn}`;
    await call(transport, program.argvOf('end-run', [nonce]), options);
    const { code } = await call(transport, program.argvOf('run', [nonce, '100', 'sleep', '98766']), options);
    t.equal(code, BY_TERM, nonce);
  }
});

void t.test('a command for logs that began before the station has said so ends with its caller', async (t) => {
  const stateDir = join(t.testdir({}), 'state');
  const abort = new AbortController();
  let ended: Promise<ProcessEnd> | undefined;
  /** The caller leaves between the request and its answer. */
  const unanswered: Transport = {
    name: 'unanswered',
    async begin(argv, signal) {
      const process = await transport.begin(argv, signal);
      if (!argv.includes('98767')) return process;
      ended = process.ended;
      process.stdout.resume();
      process.stderr.resume();
      abort.abort(new Error('the caller has left'));
      throw signal.reason;
    },
  };
  const program = createStationProgram({ transport: unanswered, stateDir, scripts: [], bootId: [] });
  await program.prepare({ signal: AbortSignal.timeout(180_000), timeoutMs: 150_000 });
  const opening = openLogStream({
    transport: unanswered,
    program,
    argv: ['sleep', '98767'],
    texts: plainText,
    limitS: 3600,
    signal: abort.signal,
    input: '',
  });
  await t.rejects(opening, { message: 'the caller has left' });
  t.same(await ended, { code: BY_TERM });
});
