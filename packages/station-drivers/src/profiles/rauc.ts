/** Profile `rauc`: RAUC by its own client, from a bundle that is there. A script at the station knows what to believe of it. */
import type { RaucSettings, RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { Profile } from './profile.js';
import { raucCheck } from './rauc-check.js';
import { callOf, toolScript } from './tool-script.js';
import { commonVerbs } from './verbs.js';

const SCRIPT = toolScript('khumbu-rauc', ['khumbu-rauc']);

export function raucProfile(entry: RealDriverEntry, settings: RaucSettings): Profile {
  const { program = ['rauc'], health, mark_good: markGood } = settings;
  const ask = callOf(SCRIPT, entry, { program, health, more: [markGood === true ? 'yes' : 'no'] });
  const common = commonVerbs(entry);
  return {
    name: 'rauc',
    ...common,
    scripts: [SCRIPT, ...common.scripts],
    check: raucCheck(settings),
    install: ({ imagePath, sha256, operationId }) => ask('install', imagePath, sha256, operationId),
    recover: (operationId) => ask('recover', operationId),
    evidence: () => ask('evidence'),
  };
}
