import t from 'tap';
import { CodedError, hasCode } from '../src/runtime/errors.js';

type Errors = typeof import('../src/runtime/errors.js');

class Special extends CodedError {}

void t.test('an error of another copy of the class is one all the same', async (t) => {
  const other = (await import(`${import.meta.resolve('../src/runtime/errors.js')}?copy`)) as Errors;
  t.not(other.CodedError, CodedError, 'as a driver of a charger maker has it beside a bundle');
  const theirs = new other.CodedError('STATION_UNREACHABLE', 'no answer');
  t.ok(theirs instanceof CodedError);
  t.ok(new CodedError('A', 'b') instanceof other.CodedError);
  t.ok(hasCode(theirs, 'STATION_UNREACHABLE'));
  t.notOk(theirs instanceof Special, 'but not one of a class of its own');
});

void t.test('what is an error of which class', async (t) => {
  const special = new Special('A', 'b');
  t.ok(special instanceof Special);
  t.ok(special instanceof CodedError);
  t.notOk(new CodedError('A', 'b') instanceof Special);
  const others: unknown[] = [
    new Error('a'),
    Object.assign(new Error('a'), { code: 'A' }),
    { code: 'A' },
    null,
    undefined,
    'A',
  ];
  for (const other of others) t.notOk(other instanceof CodedError, String(other));
  t.same(Object.getOwnPropertySymbols(special), [], 'nothing more in what is compared and logged');
});
