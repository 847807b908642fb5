/** A service for the lifecycle tests: says on stdout what it does, misbehaves as told by SCENARIO. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { runService } from '@khumbu/shared/runtime/lifecycle';
import { createLogger } from '@khumbu/shared/runtime/logger';

const scenario = process.env.SCENARIO ?? '';
const say = (text: string): void => void process.stdout.write(`${text}\n`);

runService(
  () => {
    if (scenario === 'no-log') throw new Error('no log to be had');
    return createLogger('child', process.env.LOG_LEVEL ?? 'silent');
  },
  async (life) => {
    // Keeps the process alive until it is stopped.
    const timer = setInterval(() => undefined, 1000);
    life.onStop('first', () => {
      say('stop first');
      clearInterval(timer);
    });
    life.onStop('second', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      say('stop second');
      if (scenario === 'bad-stop') throw new Error('will not stop');
    });
    life.onStop('third', () => {
      say('stop third');
      // Nothing ends this wait: a second signal must.
      if (scenario === 'hang') return new Promise<void>(() => undefined);
      if (scenario === 'rejects-while-stopping') void Promise.reject(new Error('too late'));
      return undefined;
    });
    if (scenario === 'bad-config') throw new CodedError('CONFIG_INVALID', 'REDIS_URL is missing: redis://u:p@h/');
    if (scenario === 'bad-start') throw new Error('cannot start');
    if (scenario === 'throws-later') setTimeout(() => void Promise.reject(new Error('surprise')), 5);
    life.ready();
    say('started');
  },
);
