/** Texts of the security log: English. */
import type { SecurityEntry, SecurityVerdict } from '@khumbu/client/generated/rest-api';

type FaultKind = NonNullable<SecurityVerdict['fault']>['kind'];

export const auditTexts = {
  name: 'Audit',
  lead: 'What was done, and by whom. Each entry has the hash of the one before, so that none can be changed or taken out unseen.',
  station: 'Station',
  what: 'What',
  whatHint: 'A word as login, reset, firmware_update; empty: all.',
  since: 'From',
  until: 'Up to',
  show: 'Show',
  older: 'Older entries',
  none: 'No such entry.',
  at: 'When',
  by: 'Who',
  how: 'How it went',
  more: 'Details',
  depot: 'the whole depot',
  phases: {
    asked: 'was asked for',
    refused: 'was refused',
    ended: 'has ended',
    done: 'was done',
  } satisfies Record<SecurityEntry['phase'], string>,
  causes: {
    everest: 'EVerest',
    rest: 'REST',
    schedule: 'a schedule',
    depot: 'the depot itself',
    file: 'a file or a setting',
  } satisfies Record<SecurityEntry['by']['cause'], string>,
  byName: (cause: string, name: string) => `${name} (${cause})`,
  well: 'well',
  failed: 'not well',
  words: {
    login: 'Login at the station',
    policy_first_seen: 'Keys or rules seen for the first time',
    policy_changed: 'Keys or rules changed',
    allow_firmware_installation: 'Permission to install',
    security_log_entries_removed: 'Old entries removed',
  } as Readonly<Record<string, string>>,
  check: 'Check that it is whole',
  checking: 'It is checked ...',
  whole: (entries: number) => `It is whole: ${entries} entries, each as it was written, and none is missing.`,
  broken: (sequence: number, why: string) => `It is not whole: at entry ${sequence} ${why}.`,
  faults: {
    hash: 'stands something else than was written',
    link: 'stands one that does not follow the entry before',
    gap: 'entries are missing',
    cut: 'it ends, and newer entries are missing',
    anchor: 'stands something else than was noted outside',
  } satisfies Record<FaultKind, string>,
};
