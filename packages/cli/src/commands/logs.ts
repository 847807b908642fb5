/** `khumbu logs`: one command from the question to the file; or lines as they come. */
import { accessSync, constants, createWriteStream, existsSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { answered } from '@khumbu/client/client';
import type { Operation } from '@khumbu/client/generated/rest-api';
import { ProblemError, problemOf } from '@khumbu/client/problem-error';
import { describeError } from '@khumbu/shared/runtime/errors';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { type Depot, openDepot } from '../depot/open-depot.js';
import { Failure } from '../failure.js';
import { awaitOperation, type WaitFlags } from '../operations/await-operation.js';
import { bytesText } from '../output/shown.js';
import { plain } from '../output/terminal.js';
import { DEPOT_FLAGS, STATION, text, WAIT_FLAGS } from './flags.js';
import { LOG_ORDER_FLAGS, type LogOrderFlags, logOrderOf } from './log-order.js';

interface LogsFlags extends DepotFlags, OutputFlags, WaitFlags, LogOrderFlags {
  readonly output?: string;
  readonly force: boolean;
  readonly follow: boolean;
  readonly grep?: string;
  readonly source?: string;
}

const STDOUT = '-';

/**
 * The archive: the depot says where it is, and that place is asked without the key. Rejects with a `Failure` where it does
 * not give it.
 */
async function openArchive(depot: Depot, { stationId, operationId }: Operation, signal: AbortSignal) {
  const path = `/v1/stations/${encodeURIComponent(stationId)}/log-uploads/${operationId}/archive`;
  const answer = await depot.fetch(path);
  const place = answer.headers.get('location');
  if (answer.ok && answer.body) return answer;
  if (answer.status !== 302 || place === null) throw await problemOf(answer);
  const url = new URL(place, depot.url);
  const archive = await fetch(url, { signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new Failure(
      'unreachable',
      'STORE_NO_ANSWER',
      `the archive lies in the object store at ${url.origin}, which does not answer from here (S3_PUBLIC_ENDPOINT of the gateway): ${error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)}`,
    );
  });
  if (archive.ok && archive.body) return archive;
  throw new Failure(
    'unreachable',
    'STORE_REFUSED',
    `the object store at ${url.origin} answered HTTP ${archive.status}`,
  );
}

/** Whole or not at all. */
async function store(context: CliContext, archive: Response, file: string): Promise<void> {
  const { terminal, signal } = context;
  const total = Number(archive.headers.get('content-length') ?? Number.NaN);
  let bytes = 0;
  const body = Readable.fromWeb(archive.body as never).on('data', (piece: Uint8Array) => {
    bytes += piece.length;
    terminal.live(`${basename(file)}: ${bytesText(bytes)}${Number.isNaN(total) ? '' : ` of ${bytesText(total)}`}`);
  });
  const part = `${file}.${process.pid}.part`;
  try {
    await pipeline(body, createWriteStream(part, { flags: 'wx', mode: 0o600 }), { signal });
    if (!Number.isNaN(total) && bytes !== total)
      throw new Failure('unreachable', 'ARCHIVE_CUT', `the archive ended after ${bytes} of ${total} bytes: ask again`);
    renameSync(part, file);
  } finally {
    rmSync(part, { force: true });
  }
}

async function toStdout({ terminal, signal }: CliContext, archive: Response): Promise<void> {
  for await (const piece of Readable.fromWeb(archive.body as never) as AsyncIterable<Uint8Array>) {
    signal.throwIfAborted();
    await terminal.write(piece);
  }
}

function mustBeWritable(folder: string): void {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw usage(`${folder} cannot be written to: ${describeError(error)}`);
  }
}

async function fetchLogs(context: CliContext, depot: Depot, stationId: string, flags: LogsFlags): Promise<void> {
  const { terminal, signal } = context;
  const { output, force, json } = flags;
  if (output === STDOUT && json) throw usage('with --output - the archive itself goes to stdout: leave --json out');
  if (output !== undefined && output !== STDOUT && !force && existsSync(output))
    throw usage(`${output} is there already: --force replaces it`);
  // Before anything is asked of a station.
  if (output !== STDOUT) mustBeWritable(dirname(output ?? '.'));
  const accepted = await answered(
    depot.client.POST('/v1/stations/{stationId}/log-uploads', {
      params: { path: { stationId } },
      body: logOrderOf(flags),
      signal,
    }),
  );
  terminal.say(`${stationId}: ${accepted.operationId}`);
  const ended = await awaitOperation(context, depot, accepted.operationId, flags);
  if (ended.outcome?.ok !== true) {
    if (json) terminal.json({ operation: ended });
    context.ending.exit = 'failed';
    return;
  }
  const archive = await openArchive(depot, ended, signal);
  if (output === STDOUT) return toStdout(context, archive);
  // The name of the depot is a name, whatever it holds.
  const file = output ?? basename(ended.fileName ?? `${ended.operationId}.tar.gz`);
  if (!force && existsSync(file)) throw usage(`${file} is there already: --force replaces it, --output names another`);
  await store(context, archive, file);
  if (json) terminal.json({ file, operation: ended });
  else terminal.print(file);
}

/** Lines of the live view, until the caller ends it. */
async function followLogs(context: CliContext, depot: Depot, stationId: string, flags: LogsFlags): Promise<void> {
  const { type, since, until, grep, source, json } = flags;
  const { terminal, signal, ending } = context;
  const view = depot.client.viewLogs(stationId, {
    type,
    follow: true,
    signal,
    ...(since === undefined ? {} : { since: new Date(since.at) }),
    ...(until === undefined ? {} : { until: new Date(until.at) }),
    ...(grep === undefined ? {} : { grep }),
    ...(source === undefined ? {} : { source: [source] }),
  });
  try {
    for await (const line of view) {
      if (json) terminal.json(line);
      else if (line.type === 'record') terminal.print(plain(line.text));
      else if (line.type === 'note') terminal.say(`khumbu: ${line.source}: ${line.text}`);
      if (line.type !== 'end') continue;
      if (!json) terminal.say(`khumbu: the view has ended: ${line.reason}`);
      if (line.reason === 'lost') ending.exit = 'unreachable';
      else if (line.reason !== 'complete') ending.exit = 'failed';
    }
    signal.throwIfAborted();
  } catch (error) {
    if (!(error instanceof ProblemError) || (error.code !== 'NOT_FOUND' && error.code !== 'UNREADABLE')) throw error;
    throw new Failure(
      'unsupported',
      'NO_LIVE_VIEW',
      'this gateway has no live view of logs: leave --follow out, and the logs are fetched as an archive',
    );
  }
}

export const logs = buildCommand<LogsFlags, readonly [string], CliContext>({
  docs: {
    brief: 'Fetch the logs of a station into a file, or follow them',
    fullDescription:
      'Asks for an archive, waits for it, and writes it into a file of this folder whose name is printed. --follow prints lines as they come until Ctrl-C, where the gateway has a live view. --json: the file and its operation; with --follow an object a line.',
  },
  parameters: {
    aliases: { o: 'output', f: 'follow' },
    flags: {
      ...DEPOT_FLAGS,
      output: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'file',
        brief: 'Where it goes; - : stdout; by default the name that the depot gives it',
      },
      force: { kind: 'boolean', default: false, brief: 'Replace a file that is there' },
      ...LOG_ORDER_FLAGS,
      ...WAIT_FLAGS,
      follow: { kind: 'boolean', default: false, brief: 'Lines as they come' },
      grep: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'expression',
        brief: 'With --follow: only lines that this expression (RE2) fits',
      },
      source: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'name',
        brief: 'With --follow: only of this source',
      },
    },
    positional: { kind: 'tuple', parameters: [STATION] },
  },
  func: acting(async (context, flags, stationId) => {
    if (!flags.follow && (flags.grep !== undefined || flags.source !== undefined))
      throw usage('--grep and --source choose lines of --follow; an archive is whole');
    if (flags.follow && (flags.output !== undefined || flags.force))
      throw usage('--follow prints lines: --output and --force are for an archive');
    const depot = await openDepot(context, flags);
    await (flags.follow ? followLogs : fetchLogs)(context, depot, stationId, flags);
  }),
});
