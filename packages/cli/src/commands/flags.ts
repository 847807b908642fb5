/** Flags that several commands have, and values of arguments. */
import { answered } from '@khumbu/client/client';
import type { OperationKind } from '@khumbu/client/generated/rest-api';
import { OPERATION_FILTER } from '@khumbu/rest-contract/filters';
import type { FlagParametersForType } from '@stricli/core';
import type { CliContext, OutputFlags } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { openDepot, settingsOf } from '../depot/open-depot.js';
import { profilesPath, readProfiles } from '../depot/profiles.js';
import type { WaitFlags } from '../operations/await-operation.js';

/** A person waits for it while typing. */
const PROPOSE_MS = 1500;
const NO_DEPOT: DepotFlags = { keyStdin: false };

export const text = (input: string): string => input;

/** Proposals are a courtesy: without a depot, or a key, there are none. */
async function quietly(find: () => Promise<readonly string[]> | readonly string[]): Promise<readonly string[]> {
  try {
    return await find();
  } catch {
    return [];
  }
}

const proposeStations = (context: CliContext, partial: string): Promise<readonly string[]> =>
  quietly(async () => {
    const { client } = await openDepot(context, NO_DEPOT);
    const signal = AbortSignal.timeout(PROPOSE_MS);
    const params = { query: { limit: 500 } };
    const { items } = await answered(client.GET('/v1/stations', { params, signal }));
    return items.map(({ stationId }) => stationId).filter((station) => station.startsWith(partial));
  });

const proposeOperations = (context: CliContext, partial: string): Promise<readonly string[]> =>
  quietly(async () => {
    const { client } = await openDepot(context, NO_DEPOT);
    const signal = AbortSignal.timeout(PROPOSE_MS);
    const params = { query: { limit: 100 } };
    const { items } = await answered(client.GET('/v1/operations', { params, signal }));
    return items.map(({ operationId }) => operationId).filter((id) => id.startsWith(partial));
  });

export const proposeProfiles = (context: CliContext, partial: string): Promise<readonly string[]> =>
  quietly(() => {
    const { profiles } = readProfiles(profilesPath(settingsOf(context), context.env));
    return Object.keys(profiles).filter((name) => name.startsWith(partial));
  });

export function positive(input: string): number {
  const value = Number(input);
  if (!Number.isFinite(value) || value <= 0) throw new SyntaxError('a number above 0 is needed');
  return value;
}
export function whole(input: string): number {
  const value = Number(input);
  if (!Number.isSafeInteger(value) || value < 0) throw new SyntaxError('a whole number is needed, 0 or more');
  return value;
}

const SPAN = /^(\d+)([smhd])$/;
const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const dateOr =
  (what: string, sign: 1 | -1) =>
  (input: string): string => {
    const [, amount, unit] = SPAN.exec(input) ?? [];
    if (amount !== undefined && unit !== undefined)
      return new Date(Date.now() + sign * Number(amount) * UNITS[unit as keyof typeof UNITS]).toISOString();
    if (/^\d{4}-\d\d-\d\dT/.test(input) && !Number.isNaN(Date.parse(input))) return new Date(input).toISOString();
    throw new SyntaxError(`a date as 2026-11-22T09:30:00Z is needed, or ${what}: 90s, 15m, 2h, 3d`);
  };
/** A date of RFC 3339, or how long ago: `90s`, `15m`, `2h`, `3d`. Returns RFC 3339. */
export const pastMoment = dateOr('how long ago', -1);
/** A date of RFC 3339, or in how long. Returns RFC 3339. */
export const futureMoment = dateOr('in how long', 1);

/** A date as it was given. */
export interface GivenDate {
  /** RFC 3339. */
  readonly at: string;
  /** It was given as a time from now: the same words are another date the next time. */
  readonly isRelative: boolean;
}
const given =
  (parse: (input: string) => string) =>
  (input: string): GivenDate => ({ at: parse(input), isRelative: SPAN.test(input) });
const dateFlag = (parse: (input: string) => string) => (brief: string) =>
  ({ kind: 'parsed', parse: given(parse), optional: true, placeholder: 'date', brief }) as const;
/** A flag for a date that has passed. */
export const optionalPast = dateFlag(pastMoment);
/** A flag for a date to come. */
export const optionalFuture = dateFlag(futureMoment);

export const JSON_FLAG = {
  json: { kind: 'boolean', default: false, brief: 'JSON on stdout, and failures as JSON on stderr' },
} as const satisfies FlagParametersForType<OutputFlags, CliContext>;

export const DEPOT_FLAGS: FlagParametersForType<DepotFlags & OutputFlags, CliContext> = {
  profile: {
    kind: 'parsed',
    parse: text,
    optional: true,
    placeholder: 'name',
    brief: 'The depot with this name: `khumbu profiles list`',
    proposeCompletions(partial) {
      return proposeProfiles(this, partial);
    },
  },
  url: { kind: 'parsed', parse: text, optional: true, placeholder: 'url', brief: 'A gateway by its URL' },
  keyFile: {
    kind: 'parsed',
    parse: text,
    optional: true,
    placeholder: 'file',
    brief: 'File that holds the API key or token',
  },
  keyStdin: { kind: 'boolean', default: false, brief: 'The key comes from stdin; a terminal asks for it unseen' },
  ...JSON_FLAG,
};

export const WAIT_FLAGS: FlagParametersForType<WaitFlags, CliContext> = {
  timeout: {
    kind: 'parsed',
    parse: positive,
    optional: true,
    placeholder: 'seconds',
    brief: 'Wait no longer; without it: until the end',
  },
};

export const STATION = {
  brief: 'Id of the station',
  placeholder: 'station',
  parse: text,
  proposeCompletions(this: CliContext, partial: string) {
    return proposeStations(this, partial);
  },
};
/** For `--kind`. */
export const OPERATION_KINDS: readonly OperationKind[] = OPERATION_FILTER.kind.values;

/** `--station`, of what is listed or followed. */
export const STATION_FLAG = { ...STATION, kind: 'parsed', optional: true } as const;
export const OPERATION = {
  brief: 'Id of the operation',
  placeholder: 'operation',
  parse: text,
  proposeCompletions(this: CliContext, partial: string) {
    return proposeOperations(this, partial);
  },
};
