/** `ftp` and `ftps` behind the port of transfers: both directions, and what servers get wrong in them. */
import type { Location } from '@khumbu/shared/locations/location';
import type { CreateTransport, Opened, OpenOptions, TransferContext } from '../../port.js';
import { type Leg, TransferError } from '../../transfer-error.js';
import { bringWhole } from '../files/bring-whole.js';
import { fileOf } from '../files/file-of.js';
import { TailCheck } from '../files/held-tail.js';
import { isSameVersion, validatorsOf } from '../files/version.js';
import { beginDownload, bodyOf, type FtpFile, readOverlap, versionOf } from './download.js';
import { receiverOf } from './receiver.js';
import { openSession } from './session.js';

const NOTHING = Buffer.alloc(0);

/** Servers skip blanks before a name, and some take a dash for an option. */
const nameAsArgument = (name: string): string => (/^[ -]/.test(name) ? `./${name}` : name);

/** The content from `offset` on, if the server has still what is held and begins there. */
async function openPart(file: FtpFile, offset: number, tail: Buffer): Promise<Opened | undefined> {
  const running = await beginDownload(file, offset - tail.length);
  if (!running) return undefined;
  let first: Buffer | undefined;
  try {
    first = await readOverlap(file, running, new TailCheck(tail));
  } catch (error) {
    running.line.reset();
    throw error;
  }
  if (first) return { kind: 'part', offset, total: file.version.size, ...bodyOf(file, running, offset, first) };
  running.line.reset();
  file.session.close();
  return undefined;
}

async function open(location: Location, options: OpenOptions, context: TransferContext): Promise<Opened> {
  const leg: Leg = { direction: 'get', scheme: location.scheme };
  const place = fileOf(leg, location);
  const { signal, offset, total, tail = NOTHING } = options;
  const session = await openSession(leg, place, context, signal);
  try {
    const name = nameAsArgument(place.path.name);
    // A version that is stored was told whole.
    const version = await versionOf(session, name, { isKnown: options.validators?.etag !== undefined && offset > 0 });
    const file: FtpFile = { session, context, signal, name, version };
    const validators = validatorsOf(version, 'ftp', Date.now());
    if (offset === 0 && isSameVersion(validators, options.known)) {
      session.close();
      return { kind: 'unchanged' };
    }
    const { size = 0 } = version;
    const isHeld = isSameVersion(validators, options.validators) && (total ?? size) === size && offset <= size;
    if (isHeld && tail.length > 0 && tail.length <= offset) {
      const part = await openPart(file, offset, tail);
      if (part) return part;
      // A connection on which content was given up is of no more use.
      if (session.ftp.closed) return await open(location, { offset: 0, validators: undefined, signal }, context);
    }
    const running = await beginDownload(file, 0);
    if (!running) throw new TransferError(leg, 'bad_response', 'the server does not begin at the beginning');
    return { kind: 'whole', total: version.size, validators, ...bodyOf(file, running, 0, NOTHING) };
  } catch (error) {
    session.close();
    throw session.fault(error);
  }
}

export const createFtpTransport: CreateTransport = (context) => ({
  open: (location, options) => open(location, options, context),
  async put(location, body, options) {
    const leg: Leg = { direction: 'put', scheme: location.scheme };
    const place = fileOf(leg, location);
    const session = await openSession(leg, place, context, options.signal);
    const receiving = { context, body, options };
    return bringWhole({
      leg,
      receiver: receiverOf(session, receiving),
      openAnother: async (signal) => receiverOf(await openSession(leg, place, context, signal), receiving),
      pathOf: nameAsArgument,
      name: place.path.name,
      size: body.size,
      options,
    });
  },
});
