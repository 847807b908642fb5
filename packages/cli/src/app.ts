/** All commands. */
import { readFileSync } from 'node:fs';
import { type Application, buildApplication, buildRouteMap } from '@stricli/core';
import { bulk } from './commands/bulk.js';
import { campaign } from './commands/campaign.js';
import { doctor } from './commands/doctor.js';
import { driverCheck } from './commands/driver-check.js';
import { events } from './commands/events.js';
import { keys } from './commands/keys.js';
import { logs } from './commands/logs.js';
import { allow, cancel, operations, wait } from './commands/operations.js';
import { profiles } from './commands/profiles.js';
import { reset } from './commands/reset.js';
import { stations } from './commands/stations.js';
import { up } from './commands/up.js';
import { update } from './commands/update.js';
import { completion } from './completion/scripts.js';
import type { CliContext } from './context.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const root = buildRouteMap({
  docs: {
    brief: 'Khumbu: firmware up, logs down',
    fullDescription:
      'Results go to stdout, all else to stderr. The depot is that of --profile or --url, else the one on this machine. Keys never stand in arguments. docs/cli.md has exit codes and settings.',
  },
  routes: {
    up,
    stations,
    update,
    logs,
    reset,
    events,
    operations,
    wait,
    allow,
    cancel,
    bulk,
    campaign,
    keys,
    profiles,
    driverCheck,
    doctor,
    completion,
  },
});

export const app: Application<CliContext> = buildApplication(root, {
  name: 'khumbu',
  versionInfo: { currentVersion: version },
  scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
  documentation: { caseStyle: 'convert-camel-to-kebab', useAliasInUsageLine: false, onlyRequiredInUsageLine: true },
  completion: { includeAliases: false },
});
