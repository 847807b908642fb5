import t from 'tap';
import { routeOf, stationAddress } from '../src/routes.js';

void t.test('addresses', async (t) => {
  t.same(routeOf(''), { view: 'stations' });
  t.same(routeOf('#/operations'), { view: 'operations' });
  t.same(routeOf('#/nothing'), { view: 'stations' });
  t.same(routeOf('#/stations/%'), { view: 'station', stationId: '%' });
  for (const stationId of ['cs-1', 'a/b', 'x y', 'ä#?%'])
    t.same(routeOf(stationAddress(stationId)), { view: 'station', stationId });
});
