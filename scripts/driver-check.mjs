/**
 * `npm run driver-check -- --station STATION [--file STATIONS_FILE] [--json]`: whether each verb could be done at a station now,
 * and what is missing. Nothing is changed there, and no Khumbu need run. Ends with 0: all can, 1: something cannot, 2: it was
 * called wrongly.
 */
import { prepare } from './prepare.mjs';
import { command, optionsOf, profileIn, sayLogin, Usage } from './stations.mjs';

const USAGE = 'npm run driver-check -- --station STATION [--file STATIONS_FILE] [--timeout SECONDS] [--json]';
const TIMEOUT_S = '120';

await command(async () => {
  const options = { json: { type: 'boolean' }, timeout: { type: 'string', default: TIMEOUT_S } };
  const { station, file, json, timeout } = optionsOf(USAGE, options);
  if (!station || !file) throw new Usage(USAGE);
  const seconds = Number(timeout);
  if (!(seconds > 0)) throw new Usage(`--timeout is a number of seconds\n${USAGE}`);
  await prepare({ quiet: true });
  const profile = await profileIn(file, station);
  const { checkOnce } = await import('@khumbu/station-drivers/check/check-once');
  const { describeCheck } = await import('@khumbu/station-drivers/check/describe-check');
  const { isAllWell } = await import('@khumbu/station-drivers/check/findings');
  const check = await checkOnce(profile, AbortSignal.timeout(seconds * 1000), sayLogin);
  const name = `${station} (${profile.driver})`;
  process.stdout.write(
    json ? `${JSON.stringify({ station, driver: profile.driver, ...check })}\n` : describeCheck(name, check),
  );
  if (!isAllWell(check)) process.exitCode = 1;
});
