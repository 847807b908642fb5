/** `khumbu doctor`: what is wrong with an installation, and the fix. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { describeError } from '@khumbu/shared/runtime/errors';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { chosenDepot, keyOf } from '../depot/open-depot.js';
import { Failure } from '../failure.js';
import { DEPOT_FLAGS, text } from './flags.js';

interface DoctorFlags extends DepotFlags, OutputFlags {
  readonly envFile?: readonly string[];
  readonly up: boolean;
}

const WHAT = {
  services: 'the services of this machine, as environment and files of settings say',
  up: 'what `khumbu up` starts on this machine',
  remote: 'a depot, as far as a gateway tells',
} as const;

/** As systemd and Docker read such files; a later one wins over an earlier one, and over the environment. */
function settingsOfFiles(files: readonly string[]): Record<string, string | undefined> {
  const all = files.map((file) => {
    try {
      return parseEnv(readFileSync(file, 'utf8'));
    } catch (error) {
      throw usage(`${file} cannot be read: ${describeError(error)}`);
    }
  });
  return Object.assign({}, ...all) as Record<string, string | undefined>;
}

/**
 * For what is looked at, at `url`. A key is a help here: without one less is told. That of the default profile, or of a run, is for
 * its own depot alone.
 */
async function keyIfAny(context: CliContext, flags: DepotFlags, url: string): Promise<string | undefined> {
  try {
    const usual = chosenDepot(context, flags);
    const isThat = new URL(usual.url).origin === new URL(url).origin;
    const { key } = isThat ? usual : chosenDepot(context, { ...flags, url });
    return await keyOf(key, context);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    context.terminal.say(`khumbu: without a key: ${error.message}`);
    return undefined;
  }
}

export const doctor = buildCommand<DoctorFlags, readonly [], CliContext>({
  docs: {
    brief: 'Find out what is wrong with an installation, and the fix',
    fullDescription:
      'Of the services of this machine where REDIS_URL, MQTT_URL, STATIONS_FILE, API_KEYS_FILE, S3_ENDPOINT or --env-file say so; of what `khumbu up` starts otherwise, or with --up; of a depot elsewhere with --profile or --url. It only looks, and never signs in at the broker. Ends with 1 where something is wrong. --json: an array of findings.',
  },
  parameters: {
    flags: {
      ...DEPOT_FLAGS,
      envFile: {
        kind: 'parsed',
        parse: text,
        optional: true,
        variadic: true,
        placeholder: 'file',
        brief: 'Settings of the services, as NAME=value lines; may be repeated',
      },
      up: { kind: 'boolean', default: false, brief: 'Look at what `khumbu up` starts' },
    },
  },
  func: acting(async (context, flags) => {
    const { terminal, signal } = context;
    const isElsewhere = flags.url !== undefined || flags.profile !== undefined;
    const files = flags.envFile ?? [];
    if ([isElsewhere, files.length > 0, flags.up].filter(Boolean).length > 1)
      throw usage('--env-file, --up, and --url or --profile exclude each other');
    const settings = settingsOfFiles(files);
    const [{ findPlace }, { runChecks }, { createSight }, { describeFindings }] = await Promise.all([
      import('../doctor/place.js'),
      import('../doctor/checks.js'),
      import('../doctor/real-sight.js'),
      import('../doctor/describe-findings.js'),
    ]);
    const looked = findPlace({
      env: { ...context.env, ...settings },
      fileNames: Object.keys(settings),
      remoteUrl: isElsewhere ? chosenDepot(context, flags).url : undefined,
      isUp: flags.up,
    });
    const place = { ...looked, key: await keyIfAny(context, flags, looked.url) };
    terminal.say(`Looking at ${WHAT[place.kind]}.`);
    const findings = await runChecks(place, createSight(), signal);
    if (flags.json) terminal.json(findings);
    else terminal.print(describeFindings(findings));
    if (findings.some(({ outcome }) => outcome === 'wrong')) context.ending.exit = 'failed';
  }),
});
