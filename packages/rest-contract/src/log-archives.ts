/** What REST says of the log archives that the depot keeps. */
import { Type } from 'typebox';
import { SHA256 } from './artifacts.js';
import { closed, count, nextCursor, optionalText, optionalTime, text, time } from './members.js';

const type = (description: string) => Type.Enum(['DiagnosticsLog', 'SecurityLog'], { description });

export const LogArchiveSchema = Type.Object(
  {
    operationId: text('The log upload that it was made for; that may be forgotten earlier.', {
      examples: ['log-upload-mfx3k1c0-5f0c9a7be1'],
    }),
    stationId: text('The station.', { examples: ['cs-1'] }),
    type: type('Which logs.'),
    createdAt: time('When it was asked for. Its days count from here.'),
    keptUntil: optionalTime('When it is removed, unless the quota wants it earlier; absent: no date is set.'),
    oldest: optionalText('The window that was asked for, as it was written; absent: open.'),
    latest: optionalText('Its other end, likewise.'),
    fileName: text('What to call it.', { examples: ['cs-1-DiagnosticsLog-20261122T023000Z-9a7be1f0.tar.gz'] }),
    format: Type.Enum(['gzip', 'zstd'], { description: 'How it is compressed.' }),
    sizeBytes: count('How many bytes it has.'),
    sha256: optionalText('SHA-256 of its bytes, if that is known.', {
      pattern: SHA256,
      examples: ['9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
    }),
  },
  { $id: 'LogArchive', description: 'A log archive that the depot keeps, wherever else it went.' },
);

export const LogArchivePageSchema = Type.Object(
  {
    items: Type.Array(LogArchiveSchema),
    nextCursor,
    keptArchives: count('How many the depot keeps in all.'),
    keptBytes: count('How many bytes those have.'),
    quotaBytes: Type.Optional(count('How many they may have; absent: no limit.')),
  },
  { $id: 'LogArchivePage', description: 'A page of kept archives, the newest first.' },
);

export const LogArchiveParams = Type.Object({ operationId: text('Id of the log upload.') });

export const LogArchivesQuery = Type.Object(
  {
    station: optionalText('Only of this station.'),
    type: Type.Optional(type('Only of this type.')),
    since: optionalTime('Only those that were asked for from this time on.'),
    until: optionalTime('Only those that were asked for up to this time.'),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100, description: 'Items on a page.' })),
    cursor: optionalText('nextCursor of the page before.'),
  },
  closed,
);
