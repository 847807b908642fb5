/** Answers of a module that claims another identity, none, or every one. */
import type { Random } from '../random.js';
import type { Shot } from './wire.js';

const IDS = [
  '#',
  '+',
  'a/b',
  'cs/m2e/reply/1',
  '',
  '\u0000',
  'x\ufffe',
  '\ud800',
  'é'.repeat(70),
  'y'.repeat(70_000),
  '..',
  '$SYS',
];
const PERIODS = [0, -1, 1, 250, 2_147_483_647, 1e308, 0.5, null, '1'];

const api = (random: Random): unknown => ({
  type: random.pick(['system', 'ocpp_consumer', 'system', '__proto__']),
  module_id: random.chance(0.7) ? random.pick(IDS) : `liar-${random.between(0, 50)}`,
  version: random.pick([1, 2, -1]),
  communication_monitoring: random.chance(0.5)
    ? {
        heartbeat_period_ms: random.pick(PERIODS),
        communication_check_period_s: random.pick(PERIODS),
        request_reply_timeout_s: random.pick(PERIODS),
      }
    : undefined,
});

/** An answer to discovery, or to a question for what the CSMS said. */
export function lie(random: Random, topic: string): Shot {
  const value = random.pick<() => unknown>([
    () => ({ status: random.pick(['Accepted', 'Rejected', '']) }),
    () => ({ connected: true, ocpp_version: random.pick(['1.6', '2.0.1', '']) }),
    () => ({ apis: [api(random)] }),
    () => ({ apis: Array.from({ length: random.pick([0, 2, 50, 500]) }, () => api(random)) }),
    () => ({ apis: {} }),
  ])();
  return { topic, bytes: Buffer.from(JSON.stringify(value)).subarray(0, 262_144) };
}
