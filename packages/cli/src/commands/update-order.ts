/** What an update is ordered with, for one station or for many: where the image is, when, and signed by whom. */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FirmwareUpdateOrder } from '@khumbu/client/generated/rest-api';
import { problemOf } from '@khumbu/client/problem-error';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { FlagParametersForType } from '@stricli/core';
import { type CliContext, usage } from '../context.js';
import type { Depot } from '../depot/open-depot.js';
import { bytesText } from '../output/shown.js';
import { type GivenDate, optionalFuture, text, whole } from './flags.js';

export interface UpdateOrderFlags {
  readonly image?: string;
  readonly artifact?: string;
  readonly replace: boolean;
  readonly retries?: number;
  readonly retryIntervalS?: number;
  readonly retrieveAt?: GivenDate;
  readonly installAt?: GivenDate;
  readonly signatureFile?: string;
  readonly certificateFile?: string;
}

const optionalText = (placeholder: string, brief: string) =>
  ({ kind: 'parsed', parse: text, optional: true, placeholder, brief }) as const;

export const UPDATE_ORDER_FLAGS: FlagParametersForType<UpdateOrderFlags, CliContext> = {
  image: optionalText('file', 'An image on this machine: brought into the depot first'),
  artifact: optionalText('sha256', 'An image that the depot holds'),
  replace: { kind: 'boolean', default: false, brief: 'End an update that EVerest asked for' },
  retries: { kind: 'parsed', parse: whole, optional: true, placeholder: 'number', brief: 'Tries in all' },
  retryIntervalS: {
    kind: 'parsed',
    parse: whole,
    optional: true,
    placeholder: 'seconds',
    brief: 'Seconds between tries',
  },
  retrieveAt: optionalFuture('Fetch it from this date on, or in so long: 2h'),
  installAt: optionalFuture('Install it from this date on, or in so long'),
  signatureFile: optionalText('file', 'The signature in base64'),
  certificateFile: optionalText('file', 'The signing certificate, PEM'),
};

function fileText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw usage(`${path} cannot be read: ${describeError(error)}`);
  }
}

/** A password in an argument list can be read by everybody on the machine. Throws a `Failure` for one. */
async function locationOf({ terminal }: CliContext, argument: string): Promise<string> {
  if (argument === '-') return terminal.line('Location: ', true);
  if (URL.canParse(argument) && new URL(argument).password !== '')
    throw usage('a location with a password is no argument: give - in its place, and the location on stdin');
  return argument;
}

async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw usage(`${path} cannot be read: ${describeError(error)}`);
  }
  return hash.digest('hex');
}

/** The SHA-256 of an image that the depot holds afterwards; it is sent only if it is not there. */
async function bringIn({ terminal, signal }: CliContext, depot: Depot, path: string): Promise<string> {
  const sha256 = await sha256Of(path, signal);
  const held = await depot.client.GET('/v1/firmware-artifacts/{sha256}', { params: { path: { sha256 } }, signal });
  if (held.response.ok) return sha256;
  const { size } = statSync(path);
  let sent = 0;
  const body = createReadStream(path).on('data', (piece) => {
    sent += piece.length;
    terminal.live(`bringing in ${bytesText(sent)} of ${bytesText(size)}`);
  });
  terminal.say(`bringing in ${basename(path)}, ${bytesText(size)}`);
  const name = encodeURIComponent(basename(path));
  const response = await depot.fetch(`/v1/firmware-artifacts/${sha256}?name=${name}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
    body: Readable.toWeb(body) as ReadableStream,
  });
  terminal.live('');
  if (!response.ok) throw await problemOf(response);
  await response.body?.cancel();
  return sha256;
}

async function sourceOf(context: CliContext, depot: Depot, flags: UpdateOrderFlags, argument: string | undefined) {
  const { image, artifact } = flags;
  const given = [argument, image, artifact].filter((one) => one !== undefined);
  if (given.length !== 1) throw usage('one of LOCATION, --image and --artifact is needed');
  if (image !== undefined) return { artifact: await bringIn(context, depot, image) };
  if (artifact !== undefined) return { artifact };
  return { location: await locationOf(context, argument ?? '') };
}

/** `location`: an argument, - : it is read from stdin. Rejects with a `Failure` where there is not one image. */
export async function updateOrderOf(
  context: CliContext,
  depot: Depot,
  flags: UpdateOrderFlags,
  location?: string,
): Promise<FirmwareUpdateOrder> {
  const { retries, retryIntervalS, retrieveAt, installAt, signatureFile, certificateFile, replace } = flags;
  return {
    ...(await sourceOf(context, depot, flags, location)),
    ...(retries === undefined ? {} : { retries }),
    ...(retryIntervalS === undefined ? {} : { retry_interval_s: retryIntervalS }),
    ...(retrieveAt === undefined ? {} : { retrieve_timestamp: retrieveAt.at }),
    ...(installAt === undefined ? {} : { install_timestamp: installAt.at }),
    ...(signatureFile === undefined ? {} : { signature: fileText(signatureFile) }),
    ...(certificateFile === undefined ? {} : { signing_certificate: fileText(certificateFile) }),
    ...(replace ? { replace } : {}),
  } as FirmwareUpdateOrder;
}
