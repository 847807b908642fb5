/** What REST says of the depot itself. */
import { Type } from 'typebox';
import { optionalTime, time } from './members.js';

export const DepotFileSchema = Type.Object(
  {
    setting: Type.String({ description: 'The setting that names it.', examples: ['STATIONS_FILE'] }),
    service: Type.String({ description: 'The service that follows it.', examples: ['gateway'] }),
    instance: Type.String({ description: 'Host and process id of that service.', examples: ['depot-1:4711'] }),
    usable: Type.Boolean({ description: 'false: what is there now is not used, but what was good last.' }),
    reason: Type.Optional(
      Type.String({
        description: 'Why it is not usable, with line and column where there is one.',
        examples: [
          'STATIONS_FILE: line 7, column 5: /stations/gate-1 must NOT have additional properties: drivr is not known',
        ],
      }),
    ),
    unusableSince: optionalTime('Since when it has not been usable.'),
    loadedAt: optionalTime('When the content in use was taken; absent: never.'),
  },
  { $id: 'DepotFile', description: 'A file, or a set of keys, as one service follows it.' },
);

const ImportSchema = Type.Object(
  {
    file: Type.String({ description: 'Host and path of the file.' }),
    takenIn: Type.Boolean({ description: 'false: refused; message says why.' }),
    at: time('When it was looked at last.'),
    sha256: Type.Optional(Type.String({ description: 'Of the artefact that it is.' })),
    message: Type.Optional(Type.String({ description: 'Why it was refused.' })),
  },
  { $id: 'ImportedFile', description: 'A file of an import folder.' },
);

export const DepotSchema = Type.Object(
  {
    ok: Type.Boolean({ description: 'Nothing below needs somebody.' }),
    checks: Type.Record(Type.String(), Type.String(), {
      description: 'What this gateway needs or follows, as in `/readyz`: `ok`, or what is wrong with it.',
      examples: [{ redis: 'ok', leader: 'ok', files: 'ok' }],
    }),
    files: Type.Array(DepotFileSchema, {
      description:
        'Of every service, those that are not usable first. A service that is gone is left out after half a minute.',
    }),
    imports: Type.Array(ImportSchema, {
      description: 'What became of the files in FIRMWARE_IMPORT_DIR of ota-workers.',
    }),
  },
  { $id: 'Depot', description: 'How the depot itself does.' },
);
