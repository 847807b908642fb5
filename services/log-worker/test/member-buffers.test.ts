import t from 'tap';
import { createMemberBuffers } from '../src/archive/member-buffers.js';

void t.test('a buffer is used again when the very piece that was lent is not needed any more', (t) => {
  const { take, lend, absorbed } = createMemberBuffers(1000);
  const first = take(1000);
  const member = first.subarray(0, 900);
  lend(member);
  for (const [what, piece] of [
    ['a part of it', first.subarray(0, 100)],
    ['another part', first.subarray(100, 900)],
    ['more than it', first],
    ['a copy', Buffer.from(member)],
    ['another buffer', take(1000)],
  ] as const) {
    absorbed(piece);
    t.not(take(1000).buffer, first.buffer, what);
  }
  absorbed(member);
  t.equal(take(1000).buffer, first.buffer);
  absorbed(member);
  t.not(take(1000).buffer, first.buffer, 'once alone');
  const small = take(10);
  lend(small);
  absorbed(small);
  t.not(take(1000).buffer, small.buffer, 'a small one is not worth it');
  t.end();
});
