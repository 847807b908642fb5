/**
 * Query parameters that say who may fetch, not what: signatures, tokens, dates of expiry. A presigned URL is another text each
 * time and the same image.
 */
import { Type } from 'typebox';
import { CodedError } from '../runtime/errors.js';
import { type HostEntry, isNamedBy, readHostEntry } from './host-entry.js';
import { parseLocation } from './location.js';

const PARAMETER = '[A-Za-z0-9_.~-]+\\*?';
const BY_HOST = `^(\\*\\.)?([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?=${PARAMETER}(\\|${PARAMETER})*$`;

export const IGNORED_PARAMETER_SETTINGS = {
  IGNORED_LOCATION_PARAMETERS: Type.Array(Type.String(), {
    default: [],
    description: 'Comma-separated query parameters (tokens) that do not make a location another one.',
  }),
  IGNORED_LOCATION_PARAMETERS_BY_HOST: Type.Array(Type.String({ pattern: BY_HOST }), {
    default: [],
    description:
      'The same for some hosts alone, comma-separated: host=name|name, with hosts as in ALLOWED_LOCATION_HOSTS; a star at the end of a name stands for the rest of it, as in s3.example=X-Amz-*.',
  }),
} as const;

export interface IgnoredParameterConfig {
  readonly IGNORED_LOCATION_PARAMETERS: readonly string[];
  readonly IGNORED_LOCATION_PARAMETERS_BY_HOST: readonly string[];
}

/** The parameters of a location that do not count. */
export type IgnoredParameters = (location: string) => readonly string[];

interface OfHost {
  readonly entry: HostEntry;
  readonly names: readonly string[];
}

/** A name counts as it is written: the parameters of one host may differ by case alone. */
const isMeant = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

/** Throws `CONFIG_INVALID` for a host that cannot be read. */
export function ignoredParameters(config: IgnoredParameterConfig): IgnoredParameters {
  const { IGNORED_LOCATION_PARAMETERS: everywhere, IGNORED_LOCATION_PARAMETERS_BY_HOST: byHost } = config;
  const hosts: OfHost[] = byHost.map((text) => {
    const at = text.indexOf('=');
    if (at < 0) throw new CodedError('CONFIG_INVALID', 'IGNORED_LOCATION_PARAMETERS_BY_HOST: write host=name|name');
    const entry = readHostEntry(text.slice(0, at), 'IGNORED_LOCATION_PARAMETERS_BY_HOST');
    return { entry, names: text.slice(at + 1).split('|') };
  });
  return (text) => {
    const parsed = parseLocation(text);
    if (!parsed.ok || !('url' in parsed.location)) return everywhere;
    const { url, host, port } = parsed.location;
    const patterns = hosts.filter(({ entry }) => isNamedBy(entry, host, port)).flatMap(({ names }) => names);
    const meant = [...url.searchParams.keys()].filter((name) => patterns.some((pattern) => isMeant(pattern, name)));
    // Also those that are not there: the query is written anew wherever something may be taken out of it.
    return [...new Set([...everywhere, ...patterns, ...meant])];
  };
}
