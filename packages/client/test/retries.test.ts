import t from 'tap';
import { pauseBefore } from '../src/retries.js';

const told = (status: number, code: string, retryAfter: string | null = null) =>
  ({ status, code, retryAfter }) as Parameters<typeof pauseBefore>[1];

const ROWS = [
  { what: 'no answer at all, first', tried: 1, failure: undefined, pauseMs: 250 },
  { what: 'no answer at all, third', tried: 3, failure: undefined, pauseMs: 1000 },
  { what: 'no answer for long', tried: 12, failure: undefined, pauseMs: 5000 },
  { what: 'not stored', tried: 1, failure: told(503, 'NOT_STORED'), pauseMs: 250 },
  { what: 'not stored, with a time', tried: 1, failure: told(503, 'NOT_STORED', '2'), pauseMs: 2000 },
  { what: 'too many requests', tried: 4, failure: told(429, 'TOO_MANY_REQUESTS', '17'), pauseMs: 17_000 },
  { what: 'a date in Retry-After is no number', tried: 1, failure: told(503, 'READS_BUSY', 'Mon'), pauseMs: 250 },
  { what: 'the slot is just being answered', tried: 1, failure: told(409, 'SLOT_BUSY'), pauseMs: 250 },
  { what: 'a proxy without gateway', tried: 1, failure: told(502, 'UNREADABLE'), pauseMs: 250 },
  { what: 'a proxy that knows no such path', tried: 1, failure: told(404, 'UNREADABLE'), pauseMs: undefined },
  { what: 'refused', tried: 1, failure: told(409, 'INSTALLING'), pauseMs: undefined },
  { what: 'a wrong key', tried: 1, failure: told(401, 'NOT_AUTHENTICATED'), pauseMs: undefined },
  { what: 'a mistake of the gateway', tried: 1, failure: told(500, 'INTERNAL'), pauseMs: undefined },
  { what: 'no room', tried: 1, failure: told(507, 'ARTIFACT_NO_SPACE'), pauseMs: undefined },
];

for (const { what, tried, failure, pauseMs } of ROWS)
  void t.test(what, async (t) => {
    t.equal(pauseBefore(tried, failure, 1), pauseMs, 'at the longest');
    if (pauseMs !== undefined && !failure?.retryAfter?.match(/^\d/))
      t.equal(pauseBefore(tried, failure, 0), pauseMs / 2, 'at the shortest');
  });
