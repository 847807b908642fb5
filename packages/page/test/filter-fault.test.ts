import { OPERATION_FIELDS, STATION_FIELDS } from '@khumbu/filter/fields';
import t from 'tap';
import { filterFault } from '../src/filter-fault.js';
import { en } from '../src/texts.js';

void t.test('what is wrong with a filter is said with its place', async (t) => {
  t.equal(filterFault('', STATION_FIELDS), undefined);
  t.equal(filterFault('  ', STATION_FIELDS), undefined);
  t.equal(filterFault('state = away', STATION_FIELDS), undefined);
  t.match(filterFault('state = gone', STATION_FIELDS), /^Character 9: gone where one of these should be: here, away/);
  t.match(filterFault('kind = reset', STATION_FIELDS), /^Character 1: kind is no field/);
  t.equal(filterFault('kind = reset', OPERATION_FIELDS), undefined);
});

void t.test('the examples that are offered are filters', async (t) => {
  for (const example of en.filter.examples.stations) t.equal(filterFault(example, STATION_FIELDS), undefined, example);
  for (const example of en.filter.examples.operations)
    t.equal(filterFault(example, OPERATION_FIELDS), undefined, example);
});
