/** `khumbu driver-check`: whether a station could be acted upon, and what is missing. */
import { readFileSync } from 'node:fs';
import { answered } from '@khumbu/client/client';
import { pause } from '@khumbu/client/pause';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { DriverCheck } from '@khumbu/station-drivers/port';
import type { Login } from '@khumbu/station-drivers/transports/ssh/ssh-transport';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { openDepot } from '../depot/open-depot.js';
import { Failure } from '../failure.js';
import { plain } from '../output/terminal.js';
import { DEPOT_FLAGS, positive, STATION, text } from './flags.js';

interface CheckFlags extends DepotFlags, OutputFlags {
  readonly file?: string;
  readonly timeout: number;
}

const ASK_EVERY_MS = 500;

/** By a worker of the depot, over REST. */
async function byDepot(context: CliContext, flags: CheckFlags, stationId: string): Promise<DriverCheck> {
  const { client } = await openDepot(context, flags);
  const over = AbortSignal.timeout(flags.timeout * 1000);
  const signal = AbortSignal.any([context.signal, over]);
  const params = { path: { stationId } };
  try {
    await answered(client.POST('/v1/stations/{stationId}/driver-check', { params, signal }));
    for (;;) {
      const check = await answered(client.GET('/v1/stations/{stationId}/driver-check', { params, signal }));
      if (check.state === 'done' && check.result) return check.result as DriverCheck;
      if (check.state === 'lost')
        throw new Failure('unreachable', 'CHECK_LOST', 'the worker that looked has not ended');
      context.terminal.live(`looking at ${stationId} ...`);
      await pause(ASK_EVERY_MS, signal);
    }
  } catch (error) {
    if (over.aborted && !context.signal.aborted)
      throw new Failure('timeout', 'TIMEOUT', `no result within ${flags.timeout} s`);
    throw error;
  } finally {
    context.terminal.live('');
  }
}

/** By this process, from a stations file: no Khumbu need run. */
async function byFile(context: CliContext, file: string, flags: CheckFlags, station: string): Promise<DriverCheck> {
  const { parseStationsFile, profileFrom } = await import('@khumbu/shared/stations/stations-file');
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw usage(`${file} cannot be read: ${describeError(error)}`);
  }
  const profile = profileFrom(parseStationsFile(content), station);
  if (!profile) throw usage(`${station} is not in ${file}, or has no driver there`);
  const { checkOnce } = await import('@khumbu/station-drivers/check/check-once');
  const sayLogin = ({ at, failure }: Login): void =>
    context.terminal.say(
      `${failure ? 'A login that failed' : 'Logged in'} at ${plain(at)}: it is not in the security log of the depot.`,
    );
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(flags.timeout * 1000)]);
  // With --json there is JSON on stderr too.
  return checkOnce(profile, signal, flags.json ? () => undefined : sayLogin);
}

export const driverCheck = buildCommand<CheckFlags, readonly [string], CliContext>({
  docs: {
    brief: 'Look whether a station could be acted upon, and what is missing',
    fullDescription:
      'A worker of the depot looks; with --file this process does, no depot need run, and the login is in no security log. Nothing is changed at the station. Ends with 1 where something could not be done.',
  },
  parameters: {
    flags: {
      ...DEPOT_FLAGS,
      file: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'stations-file',
        brief: 'Look from here, as this stations file says',
      },
      timeout: {
        kind: 'parsed',
        parse: positive,
        default: '120',
        placeholder: 'seconds',
        brief: 'Wait no longer',
      },
    },
    positional: { kind: 'tuple', parameters: [STATION] },
  },
  func: acting(async (context, flags, stationId) => {
    const check =
      flags.file === undefined
        ? await byDepot(context, flags, stationId)
        : await byFile(context, flags.file, flags, stationId);
    const { describeCheck } = await import('@khumbu/station-drivers/check/describe-check');
    const { isAllWell } = await import('@khumbu/station-drivers/check/findings');
    if (flags.json) context.terminal.json({ station: stationId, ...check });
    else context.terminal.print(describeCheck(stationId, check).trimEnd());
    if (!isAllWell(check)) context.ending.exit = 'failed';
  }),
});
