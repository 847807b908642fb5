/** `sftp` behind the port of transfers, both directions. */
import type { Location } from '@khumbu/shared/locations/location';
import type { Stats } from 'ssh2';
import type { Body, CreateTransport, Opened, OpenOptions, TransferContext } from '../../port.js';
import { type Leg, TransferError } from '../../transfer-error.js';
import { bringWhole } from '../files/bring-whole.js';
import { fileOf } from '../files/file-of.js';
import { TailCheck } from '../files/held-tail.js';
import { isSameVersion, type Version, validatorsOf } from '../files/version.js';
import { type Reading, readFrom } from './read.js';
import { pathOf, receiverOf } from './receiver.js';
import { openSession } from './session.js';
import { faultOf } from './statuses.js';

const versionOf = ({ size, mtime }: Stats): Version & { readonly size: number } => ({
  size,
  modified: String(mtime),
  timeMs: mtime * 1000,
});

const statsOf = ({ session, handle }: Reading): Promise<Stats> =>
  session.ask<Stats>((sftp, answered) => sftp.fstat(handle, answered));

/** The content from `offset` on. The handle stays with the file that was opened, whatever its name stands for meanwhile. */
function bodyOf(reading: Reading, offset: number, version: Version & { readonly size: number }): Body {
  const { session } = reading;
  return {
    async readBody(use) {
      let fromReader: { readonly error: unknown } | undefined;
      try {
        await readFrom(reading, offset, version.size, (piece) => {
          try {
            use(piece);
          } catch (error) {
            fromReader = { error };
            throw error;
          }
        });
        const now = versionOf(await statsOf(reading));
        if (now.size !== version.size || now.modified !== version.modified)
          throw new TransferError(session.leg, 'content_changed', 'the file was changed while it was read');
      } catch (error) {
        throw fromReader ? fromReader.error : await faultOf(session, error);
      } finally {
        session.close();
      }
    },
    drop: () => session.close(),
  };
}

/** Whether the file has the last bytes that are held where they belong. */
async function hasTail(reading: Reading, offset: number, tail: Buffer): Promise<boolean> {
  const check = new TailCheck(tail);
  let isEqual = true;
  await readFrom(reading, offset - tail.length, offset, (piece) => {
    isEqual &&= check.rest(piece) !== undefined;
  });
  return isEqual;
}

async function open(location: Location, options: OpenOptions, context: TransferContext): Promise<Opened> {
  const leg: Leg = { direction: 'get', scheme: location.scheme };
  const place = fileOf(leg, location);
  const { signal, offset, total, tail } = options;
  const session = await openSession(leg, place, context, signal);
  try {
    const path = pathOf(place.path.folder, place.path.name);
    const found = await session.ask<Stats>((sftp, answered) => sftp.stat(path, answered));
    if (!found.isFile()) throw new TransferError(leg, 'no_such_file', 'the location names no regular file');
    const handle = await session.ask<Buffer>((sftp, answered) => sftp.open(path, 'r', answered));
    const reading: Reading = { session, context, signal, handle };
    const version = versionOf(await statsOf(reading));
    const { size } = version;
    const validators = validatorsOf(version, 'sftp', Date.now());
    if (offset === 0 && isSameVersion(validators, options.known)) {
      session.close();
      return { kind: 'unchanged' };
    }
    const isHeld = isSameVersion(validators, options.validators) && (total ?? size) === size && offset <= size;
    if (isHeld && tail && tail.length > 0 && tail.length <= offset && (await hasTail(reading, offset, tail)))
      return { kind: 'part', offset, total: size, ...bodyOf(reading, offset, version) };
    return { kind: 'whole', total: size, validators, ...bodyOf(reading, 0, version) };
  } catch (error) {
    const fault = await faultOf(session, error);
    session.close();
    throw fault;
  }
}

export const createSftpTransport: CreateTransport = (context) => ({
  open: (location, options) => open(location, options, context),
  async put(location, body, options) {
    const leg: Leg = { direction: 'put', scheme: location.scheme };
    const place = fileOf(leg, location);
    const session = await openSession(leg, place, context, options.signal);
    const { folder, name } = place.path;
    const receiving = { context, folder, body, options };
    return bringWhole({
      leg,
      receiver: receiverOf(session, receiving),
      openAnother: async (signal) => receiverOf(await openSession(leg, place, context, signal), receiving),
      pathOf: (of) => pathOf(folder, of),
      name,
      size: body.size,
      options,
    });
  },
});
