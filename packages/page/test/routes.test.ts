import t from 'tap';
import { LISTS, listAddress, routeOf, stationAddress } from '../src/routes.js';

void t.test('addresses', async (t) => {
  t.same(routeOf(''), { view: 'stations', filter: '' });
  t.same(routeOf('#/operations'), { view: 'operations', filter: '' });
  t.same(routeOf('#/nothing'), { view: 'stations', filter: '' });
  t.same(routeOf('#/stations/%'), { view: 'station', stationId: '%' });
  for (const stationId of ['cs-1', 'a/b', 'x y', 'ä#?%'])
    t.same(routeOf(stationAddress(stationId)), { view: 'station', stationId });
});

void t.test('a filter stands in the address', async (t) => {
  for (const view of LISTS)
    for (const filter of [
      '',
      'version < 2.1 and label.site = "a/b?c#d&e=f"',
      "station ~ 'ä*' or not (ok = true)",
      '%',
      '+',
    ])
      t.same(routeOf(listAddress(view, filter)), { view, filter });
  t.same(routeOf('#/stations?filter=%'), { view: 'stations', filter: '%' }, 'somebody has typed it');
});
