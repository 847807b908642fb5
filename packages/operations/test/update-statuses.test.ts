import { isFinalUpdateState } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import t from 'tap';
import { updateRecord } from './make-records.js';
import {
  type EventWithDetail,
  FETCHED_KEEPS,
  KEEPS,
  PLAIN,
  REBOOT,
  RESTART,
  SIGNED,
  SIGNED_PLAIN,
  TO_DOWNLOADED,
  TO_VERIFIED,
  told,
  UNSIGNED,
  walk,
} from './update-walk.js';

void t.test('what EVerest is told', async (t) => {
  type Case = [
    string,
    Partial<FirmwareUpdateRecord>,
    Dialect | 'any',
    readonly (EventWithDetail | typeof RESTART)[],
    string,
  ];
  const cases: Case[] = [
    [
      'signed',
      SIGNED,
      'any',
      [...TO_VERIFIED, ...REBOOT],
      'Downloading Downloaded SignatureVerified Installing InstallRebooting Installed',
    ],
    [
      'signed, metadata on the trigger only',
      SIGNED,
      'any',
      [...TO_DOWNLOADED, KEEPS, 'installBegun', 'proved'],
      'Downloading Downloaded SignatureVerified+false Installing Installed',
    ],
    [
      'unsigned, metadata on the trigger only',
      UNSIGNED,
      'any',
      ['confirmed', 'fetchJoined', FETCHED_KEEPS, 'installBegun', 'proved'],
      'Downloading Downloaded+true Installing Installed',
    ],
    [
      'id -1',
      PLAIN,
      'ocpp1.6',
      ['confirmed', 'fetchJoined', FETCHED_KEEPS, ...REBOOT],
      'Downloading Downloaded+true Installing Installed',
    ],
    ['id -1', PLAIN, 'unknown', [...TO_DOWNLOADED, ...REBOOT], 'Downloading Downloaded Installing Installed'],
    [
      'id -1',
      PLAIN,
      'ocpp2.x',
      [...TO_DOWNLOADED, ...REBOOT],
      'Downloading Downloaded Installing InstallRebooting Installed',
    ],
    [
      'scheduled retrieve',
      SIGNED,
      'any',
      ['confirmed', 'retrieveLater', 'fetchJoined', 'fetched', 'signatureGood', 'installBegun', 'proved'],
      'DownloadScheduled Downloading Downloaded SignatureVerified Installing Installed',
    ],
    [
      'scheduled retrieve, id -1',
      PLAIN,
      'ocpp1.6',
      ['confirmed', 'retrieveLater', ...TO_DOWNLOADED.slice(1), 'installBegun', 'proved'],
      'Downloading Downloaded Installing Installed',
    ],
    [
      'scheduled install',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installLater', ...REBOOT],
      'Downloading Downloaded SignatureVerified InstallScheduled Installing InstallRebooting Installed',
    ],
    [
      'scheduled install, id -1',
      PLAIN,
      'unknown',
      [...TO_DOWNLOADED, 'installLater', ...REBOOT],
      'Downloading Downloaded Installing Installed',
    ],
    [
      'a failed try is silent',
      SIGNED,
      'any',
      ['confirmed', 'fetchJoined', 'tryFailed', 'fetchJoined', 'tryFailed', 'fetchJoined', 'gaveUp'],
      'Downloading DownloadFailed',
    ],
    ['bad signature', SIGNED, 'any', [...TO_DOWNLOADED, 'signatureBad'], 'Downloading Downloaded InvalidSignature'],
    [
      'bad signature, id -1',
      SIGNED_PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'signatureBad'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'install fails',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'installFailed'],
      'Downloading Downloaded SignatureVerified Installing InstallationFailed',
    ],
    [
      'image unfit',
      UNSIGNED,
      'any',
      [...TO_DOWNLOADED, 'installBegun', 'imageUnfit'],
      'Downloading Downloaded Installing InstallVerificationFailed',
    ],
    [
      'image unfit, id -1',
      PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'installBegun', 'imageUnfit'],
      'Downloading Downloaded Installing InstallationFailed',
    ],
    ['image lost', SIGNED, 'any', [...TO_DOWNLOADED, 'imageLost'], 'Downloading Downloaded InstallationFailed'],
    [
      'image lost, id -1',
      PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'installLater', 'imageLost'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'image lost',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'imageLost'],
      'Downloading Downloaded SignatureVerified InstallationFailed',
    ],
    [
      'image lost',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'imageLost'],
      'Downloading Downloaded SignatureVerified Installing InstallationFailed',
    ],
    [
      'fell back',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'rebootNeeded', 'fellBack'],
      'Downloading Downloaded SignatureVerified Installing InstallRebooting InstallationFailed',
    ],
    ['withdrawn', SIGNED, 'any', ['withdrawn'], ''],
    ['never confirmed', SIGNED, 'any', ['outOfTime'], ''],
    ['superseded as an offer', SIGNED, 'any', ['superseded'], ''],
    ['superseded before the trigger', SIGNED, 'any', [...TO_DOWNLOADED.slice(0, 2), 'superseded'], 'Downloading'],
    [
      'superseded after the trigger',
      SIGNED,
      'ocpp2.x',
      [...TO_VERIFIED, 'superseded'],
      'Downloading Downloaded SignatureVerified',
    ],
    [
      'superseded after the trigger',
      SIGNED,
      'ocpp1.6',
      [...TO_VERIFIED, 'superseded'],
      'Downloading Downloaded SignatureVerified InstallationFailed',
    ],
    [
      'superseded after the trigger',
      SIGNED,
      'unknown',
      [...TO_VERIFIED, 'installLater', 'superseded'],
      'Downloading Downloaded SignatureVerified InstallScheduled InstallationFailed',
    ],
    [
      'superseded after the trigger, id -1',
      PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'superseded'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'signed over REST: with id -1 the trigger is Downloaded',
      SIGNED_PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'superseded'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'signed over REST, verified',
      SIGNED_PLAIN,
      'unknown',
      [...TO_VERIFIED, 'superseded'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'signed over REST, station restarted',
      SIGNED_PLAIN,
      'ocpp1.6',
      [...TO_VERIFIED, RESTART, ...REBOOT],
      'Downloading Downloaded Downloaded Installing Installed',
    ],
    [
      'signed over REST',
      SIGNED_PLAIN,
      'ocpp2.x',
      [...TO_VERIFIED, RESTART],
      'Downloading Downloaded SignatureVerified SignatureVerified',
    ],
    [
      'canceled while it waits for its time',
      SIGNED,
      'any',
      ['confirmed', 'retrieveLater', 'canceled'],
      'DownloadScheduled DownloadFailed',
    ],
    [
      'canceled while it is fetched',
      SIGNED,
      'any',
      ['confirmed', 'fetchJoined', 'canceled'],
      'Downloading DownloadFailed',
    ],
    [
      'canceled while it is verified: what was told stays true',
      SIGNED,
      'any',
      [...TO_DOWNLOADED, 'canceled'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'canceled after the trigger',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'canceled'],
      'Downloading Downloaded SignatureVerified InstallationFailed',
    ],
    [
      'canceled after the trigger, id -1',
      PLAIN,
      'unknown',
      [...TO_DOWNLOADED, 'canceled'],
      'Downloading Downloaded InstallationFailed',
    ],
    ['out of time', SIGNED, 'any', ['confirmed', 'outOfTime'], 'DownloadFailed'],
    ['out of time', SIGNED, 'any', ['confirmed', 'retrieveLater', 'outOfTime'], 'DownloadScheduled DownloadFailed'],
    ['out of time', SIGNED, 'any', ['confirmed', 'fetchJoined', 'outOfTime'], 'Downloading DownloadFailed'],
    ['out of time', SIGNED, 'any', [...TO_DOWNLOADED, 'outOfTime'], 'Downloading Downloaded InstallationFailed'],
    [
      'out of time',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'outOfTime'],
      'Downloading Downloaded SignatureVerified InstallationFailed',
    ],
    [
      'out of time',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installLater', 'outOfTime'],
      'Downloading Downloaded SignatureVerified InstallScheduled InstallationFailed',
    ],
    [
      'out of time',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'outOfTime'],
      'Downloading Downloaded SignatureVerified Installing InstallationFailed',
    ],
    [
      'out of time',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'rebootNeeded', 'outOfTime'],
      'Downloading Downloaded SignatureVerified Installing InstallRebooting InstallationFailed',
    ],
    [
      'station restarted while it waits',
      SIGNED,
      'any',
      [...TO_DOWNLOADED, KEEPS, RESTART, RESTART, ...REBOOT],
      'Downloading Downloaded SignatureVerified+false SignatureVerified+false SignatureVerified+false Installing InstallRebooting Installed',
    ],
    [
      'station restarted while it waits for its time',
      UNSIGNED,
      'any',
      [...TO_DOWNLOADED, 'installLater', RESTART, ...REBOOT],
      'Downloading Downloaded InstallScheduled Downloaded Installing InstallRebooting Installed',
    ],
    [
      'station restarted before the trigger',
      SIGNED,
      'any',
      [...TO_DOWNLOADED, RESTART, 'signatureGood'],
      'Downloading Downloaded SignatureVerified',
    ],
    [
      'station restarted, no permission needed',
      { ...SIGNED, permissionNeeded: false },
      'any',
      [...TO_VERIFIED, RESTART],
      'Downloading Downloaded SignatureVerified',
    ],
    ['nobody is told', { ...SIGNED, announced: false }, 'any', [...TO_VERIFIED, RESTART, ...REBOOT], ''],
    ['nobody is told', { ...SIGNED, announced: false }, 'ocpp1.6', [...TO_VERIFIED, 'canceled'], ''],
  ];
  const FINAL = ['DownloadFailed', 'InstallationFailed', 'Installed', 'InstallVerificationFailed', 'InvalidSignature'];
  for (const [what, changes, dialects, events, wanted] of cases) {
    for (const dialect of dialects === 'any' ? (['ocpp1.6', 'ocpp2.x', 'unknown'] as const) : [dialects]) {
      const name = `${what} (${dialect}): ${events.map((event) => (Array.isArray(event) ? event[0] : event)).join(' ')}`;
      const { record, entries } = walk(updateRecord(changes), dialect, events);
      t.equal(told(record, entries), wanted, name);
      const finals = entries.filter(({ payload }) =>
        FINAL.includes((payload as { firmware_update_status: string }).firmware_update_status),
      );
      const closed = isFinalUpdateState(record.state) && wanted !== '' && !/superseded/.test(events.at(-1) as string);
      t.ok(finals.length <= 1 && (!closed || finals[0] === entries.at(-1)), `${name}: one final status, at the end`);
      if (isFinalUpdateState(record.state)) {
        t.ok(record.endedAt !== undefined && record.outcome !== undefined && record.deadlineAt === undefined, name);
        t.equal(record.outcome?.ok, record.state === 'Installed', name);
        t.notMatch(JSON.stringify(record), /PEM|QQ==/, `${name}: no certificate is kept`);
        t.equal(record.request.location, 'http://h/f');
      } else {
        t.type(record.deadlineAt, 'number', `${name}: it may not last for ever`);
        t.match(record.request, changes.request ?? {});
      }
    }
  }
});
