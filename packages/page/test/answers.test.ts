import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { type Answer, createAnswers, type Read } from '../src/answers.js';

/** Reads that end when the test says so. */
function setReads(longestMs?: number) {
  const told: Answer<string, string>[] = [];
  const begun: { signal: AbortSignal; resolve: (value: string) => void; reject: (error: unknown) => void }[] = [];
  const read: Read<string> = (signal) =>
    new Promise((resolve, reject) => {
      begun.push({ signal, resolve, reject });
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  const answers = createAnswers<string, string>((answer) => told.push(answer), longestMs);
  return { told, begun, read, answers };
}

void t.test('changes that come faster than answers do not keep an answer from being shown', async (t) => {
  const { told, begun, read, answers } = setReads();
  for (let change = 0; change < 5; change += 1) answers.ask('all', read);
  t.equal(begun.length, 1, 'one read at a time');
  begun[0]?.resolve('first');
  await turn();
  t.same(told, [{ question: 'all', value: 'first', failure: undefined }]);
  t.equal(begun.length, 2, 'the changes since are read once, all together');
  begun[1]?.resolve('second');
  await turn();
  t.equal(told[1]?.value, 'second');
  t.equal(begun.length, 2, 'nothing has changed since');
});

void t.test('another question ends the read of the one before, and nothing of it is told', async (t) => {
  const { told, begun, read, answers } = setReads();
  answers.ask('kind = reset', read);
  answers.ask('kind = reset', read);
  answers.ask('kind = log_upload', read);
  t.equal(begun[0]?.signal.aborted, true);
  begun[1]?.resolve('logs');
  await turn();
  t.same(told, [{ question: 'kind = log_upload', value: 'logs', failure: undefined }]);
  t.equal(begun.length, 2, 'what was wanted of the first is not read for the second');
});

void t.test('an answer that comes although its read was ended is not told', async (t) => {
  const { told, begun, read, answers } = setReads();
  let late = (_value: string): void => undefined;
  answers.ask(
    'a',
    () =>
      new Promise((resolve) => {
        late = resolve;
      }),
  );
  answers.ask('b', read);
  begun[0]?.resolve('of b');
  await turn();
  late('of a');
  await turn();
  t.same(
    told.map(({ value }) => value),
    ['of b'],
  );
});

void t.test('a read that fails leaves what is known of its question, and of no other one', async (t) => {
  const { told, begun, read, answers } = setReads();
  const error = new Error('refused');
  answers.ask('a', read);
  begun[0]?.resolve('of a');
  await turn();
  answers.ask('a', read);
  begun[1]?.reject(error);
  await turn();
  t.same(told[1], { question: 'a', value: 'of a', failure: { error } });
  answers.ask('b', read);
  begun[2]?.reject(error);
  await turn();
  t.same(told[2], { question: 'b', value: undefined, failure: { error } });
});

void t.test('nothing is told after the end', async (t) => {
  const { told, begun, read, answers } = setReads();
  answers.ask('a', read);
  answers.ask('a', read);
  answers.end();
  await turn();
  t.equal(begun[0]?.signal.aborted, true);
  t.same([told, begun.length], [[], 1]);
});

void t.test('a read without an end does not stop those after it', async (t) => {
  const { told, begun, read, answers } = setReads(1);
  answers.ask('a', read);
  answers.ask('a', read);
  await new Promise((resolve) => begun[0]?.signal.addEventListener('abort', resolve));
  await turn();
  t.equal(told[0]?.failure?.error instanceof DOMException, true);
  t.equal(begun.length, 2);
  answers.end();
});
