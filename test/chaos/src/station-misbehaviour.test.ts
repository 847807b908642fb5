import t from 'tap';
import { stationMisbehaviour } from './experiments/station-misbehaviour.js';
import { holds } from './short.js';

await holds(t, stationMisbehaviour);
