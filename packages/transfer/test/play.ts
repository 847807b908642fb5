/** How the faults of a table are brought about: servers that do one thing wrong, and what is asked of them. */
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { checkedLocation } from '../src/checked-location.js';
import type { Direction, TransferContext } from '../src/port.js';
import { bringTo, createDownload } from '../src/transfer.js';

/** What one fault is asked for with. */
export interface Play {
  readonly location: string;
  readonly context?: Partial<TransferContext>;
  /** Around the try: `after` whatever comes of it. */
  readonly before?: () => unknown;
  readonly after?: () => unknown;
  /** Once, when content flows. */
  readonly meanwhile?: () => void;
}

const { signal } = new AbortController();
const BYTES = Buffer.alloc(400_000, 'x');

export const rules = {
  allowedSchemes: ['http', 'https', 's3', 'ftp', 'ftps', 'sftp'],
  allowedHosts: [] as readonly string[],
  allowLoopback: true,
} as const;
const policy = createLocationPolicy(rules);
/** Names lead where this says, or fail with this code. */
export const policyOfNames = (answer: string) =>
  createLocationPolicy(rules, (_name, _options, done) =>
    answer.startsWith('E')
      ? done(Object.assign(new Error('no answer'), { code: answer }), [])
      : done(null, [{ address: answer, family: 4 }]),
  );

async function tryOnce(direction: Direction, { location, context, meanwhile }: Play): Promise<void> {
  const all: TransferContext = { policy, stallMs: 20_000, ...context };
  let flows = false;
  const onFlow = (): void => {
    if (!flows) meanwhile?.();
    flows = true;
  };
  if (direction === 'get') {
    const opened = await createDownload(location, all)({ offset: 0, signal });
    if (opened.kind !== 'unchanged') await opened.readBody(onFlow);
    return;
  }
  const checked = await checkedLocation(all.policy, location, { direction, scheme: 'https' });
  const body = { size: BYTES.length, contentType: 'application/gzip', open: () => Readable.from([BYTES]) };
  await bringTo(checked, body, { context: all, signal, onProgress: onFlow });
}

/** Settles as one try does. */
export async function perform(direction: Direction, play: Play): Promise<void> {
  await play.before?.();
  try {
    await tryOnce(direction, play);
  } finally {
    await play.after?.();
  }
}

/** A head, and nothing more. */
export const says =
  (...lines: string[]) =>
  (socket: Socket): void =>
    void socket.write(`${lines.join('\r\n')}\r\n\r\n`);
