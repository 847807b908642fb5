/** Profile `rauc`: RAUC by its own client, from a bundle that is there. A script at the station knows what to believe of it. */
import { readFileSync } from 'node:fs';
import type { RaucSettings, RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { stationScript } from '../station/station-program.js';
import type { Profile } from './profile.js';
import { raucCheck } from './rauc-check.js';
import { commonVerbs } from './verbs.js';

const SCRIPT = stationScript('khumbu-rauc', readFileSync(new URL('../../../station/khumbu-rauc.sh', import.meta.url)));

const counted = (words: readonly string[]): readonly string[] => [String(words.length), ...words];

export function raucProfile(entry: RealDriverEntry, settings: RaucSettings): Profile {
  const { program, health, mark_good } = settings;
  const { state_dir: stateDir, boot_id: bootId = [] } = entry;
  const ask = (verb: string, ...args: readonly string[]): readonly string[] => [
    '/bin/sh',
    `${stateDir}/${SCRIPT.name}`,
    verb,
    stateDir,
    ...counted(program ?? ['rauc']),
    ...counted(bootId),
    ...counted(health ?? []),
    mark_good === true ? 'yes' : 'no',
    ...args,
  ];
  const common = commonVerbs(entry);
  return {
    name: 'rauc',
    ...common,
    scripts: [SCRIPT, ...common.scripts],
    check: raucCheck(settings),
    install: ({ imagePath, sha256, operationId }) => ask('install', imagePath, sha256, operationId),
    recover: (operationId) => ask('recover', operationId),
    evidence: () => ask('evidence'),
    network: () => undefined,
    logs: () => undefined,
  };
}
