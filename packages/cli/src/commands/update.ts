/** `khumbu update`: one command from an image to a station that runs it. */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { answered } from '@khumbu/client/client';
import type { FirmwareUpdateOrder, Operation } from '@khumbu/client/generated/rest-api';
import { ProblemError, problemOf } from '@khumbu/client/problem-error';
import { describeError } from '@khumbu/shared/runtime/errors';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { type Depot, openDepot } from '../depot/open-depot.js';
import { awaitOperation, type WaitFlags } from '../operations/await-operation.js';
import { bytesText } from '../output/shown.js';
import { DEPOT_FLAGS, futureMoment, STATION, text, WAIT_FLAGS, whole } from './flags.js';
import { allowInstallation, tellEnd } from './operations.js';

interface UpdateFlags extends DepotFlags, OutputFlags, WaitFlags {
  readonly image?: string;
  readonly artifact?: string;
  readonly wait: boolean;
  readonly allow: boolean;
  readonly replace: boolean;
  readonly retries?: number;
  readonly retryIntervalS?: number;
  readonly retrieveAt?: string;
  readonly installAt?: string;
  readonly signatureFile?: string;
  readonly certificateFile?: string;
}

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

async function sourceOf(context: CliContext, depot: Depot, flags: UpdateFlags, argument: string | undefined) {
  const { image, artifact } = flags;
  const given = [argument, image, artifact].filter((one) => one !== undefined);
  if (given.length !== 1) throw usage('one of LOCATION, --image and --artifact is needed');
  if (image !== undefined) return { artifact: await bringIn(context, depot, image) };
  if (artifact !== undefined) return { artifact };
  return { location: await locationOf(context, argument ?? '') };
}

async function orderOf(
  context: CliContext,
  depot: Depot,
  flags: UpdateFlags,
  argument?: string,
): Promise<FirmwareUpdateOrder> {
  const { retries, retryIntervalS, retrieveAt, installAt, signatureFile, certificateFile, replace } = flags;
  return {
    ...(await sourceOf(context, depot, flags, argument)),
    ...(retries === undefined ? {} : { retries }),
    ...(retryIntervalS === undefined ? {} : { retry_interval_s: retryIntervalS }),
    ...(retrieveAt === undefined ? {} : { retrieve_timestamp: retrieveAt }),
    ...(installAt === undefined ? {} : { install_timestamp: installAt }),
    ...(signatureFile === undefined ? {} : { signature: fileText(signatureFile) }),
    ...(certificateFile === undefined ? {} : { signing_certificate: fileText(certificateFile) }),
    ...(replace ? { replace } : {}),
  } as FirmwareUpdateOrder;
}

/** Waits for it, and allows the installation when it waits for that. Rejects where it may not be allowed: it goes on. */
async function allowed(context: CliContext, depot: Depot, update: Operation, flags: UpdateFlags): Promise<Operation> {
  const refused = new AbortController();
  const onStanding = ({ waitingFor }: { readonly waitingFor?: string }): void => {
    if (waitingFor !== 'permission') return;
    allowInstallation(depot, update, context.signal).then(
      () => context.terminal.say('allowed'),
      // EVerest may have allowed it in between, or it has ended.
      (error: unknown) => void (isSettled(error) || refused.abort(error)),
    );
  };
  const signal = AbortSignal.any([context.signal, refused.signal]);
  try {
    return await awaitOperation({ ...context, signal }, depot, update.operationId, flags, onStanding);
  } catch (error) {
    refused.signal.throwIfAborted();
    throw error;
  }
}
const isSettled = (error: unknown): boolean => error instanceof ProblemError && error.code === 'NOT_WAITING';

const optionalText = (placeholder: string, brief: string) =>
  ({ kind: 'parsed', parse: text, optional: true, placeholder, brief }) as const;
const optionalMoment = (brief: string) =>
  ({ kind: 'parsed', parse: futureMoment, optional: true, placeholder: 'date', brief }) as const;

export const update = buildCommand<UpdateFlags, readonly [string, string?], CliContext>({
  docs: {
    brief: 'Update a station',
    fullDescription:
      'From LOCATION (http, https, ftp, ftps, sftp, s3; - reads it from stdin, for one with a password), from a file of this machine (--image), or from what the depot holds (--artifact). EVerest allows the installation once its connectors are free; --allow does so at once, and a car that charges is cut off. Ends with 0 if accepted, with --wait or --allow if installed.',
  },
  parameters: {
    flags: {
      ...DEPOT_FLAGS,
      image: optionalText('file', 'An image on this machine: brought into the depot first'),
      artifact: optionalText('sha256', 'An image that the depot holds'),
      wait: { kind: 'boolean', default: false, brief: 'Wait until it has ended, with live progress' },
      ...WAIT_FLAGS,
      allow: { kind: 'boolean', default: false, brief: 'Wait, and allow the installation as soon as it can be' },
      replace: { kind: 'boolean', default: false, brief: 'End an update that EVerest asked for' },
      retries: { kind: 'parsed', parse: whole, optional: true, placeholder: 'number', brief: 'Tries in all' },
      retryIntervalS: {
        kind: 'parsed',
        parse: whole,
        optional: true,
        placeholder: 'seconds',
        brief: 'Seconds between tries',
      },
      retrieveAt: optionalMoment('Fetch it from this date on, or in so long: 2h'),
      installAt: optionalMoment('Install it from this date on, or in so long'),
      signatureFile: optionalText('file', 'The signature in base64'),
      certificateFile: optionalText('file', 'The signing certificate, PEM'),
    },
    positional: {
      kind: 'tuple',
      parameters: [
        STATION,
        { brief: 'Where the image is; - : from stdin', placeholder: 'location', parse: text, optional: true },
      ],
    },
  },
  func: acting(async (context, flags, stationId, location) => {
    const depot = await openDepot(context, flags);
    const { signal, terminal } = context;
    const body = await orderOf(context, depot, flags, location);
    const accepted = await answered(
      depot.client.POST('/v1/stations/{stationId}/firmware-updates', { params: { path: { stationId } }, body, signal }),
    );
    if (!flags.wait && !flags.allow && flags.timeout === undefined) {
      tellEnd(context, flags, accepted);
      return;
    }
    terminal.say(`${stationId}: ${accepted.operationId}`);
    const ended = flags.allow
      ? await allowed(context, depot, accepted, flags)
      : await awaitOperation(context, depot, accepted.operationId, flags);
    tellEnd(context, flags, ended);
  }),
});
