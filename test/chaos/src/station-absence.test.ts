import t from 'tap';
import { stationAbsence } from './experiments/station-absence.js';
import { holds } from './short.js';

await holds(t, stationAbsence);
