/** Which depot is meant, and whose key goes there. Pure. */
import { join } from 'node:path';
import { Failure } from '../failure.js';
import type { CliSettings } from '../settings.js';
import type { Profile, Profiles } from './profiles.js';

export interface DepotFlags {
  readonly profile?: string;
  readonly url?: string;
  readonly keyFile?: string;
  readonly keyStdin: boolean;
}

export type KeySource =
  | { readonly kind: 'stdin' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'text'; readonly text: string }
  /** Of a run on this machine: used if it is there. */
  | { readonly kind: 'run'; readonly path: string }
  | { readonly kind: 'none' };

export interface ChosenDepot {
  readonly url: string;
  readonly key: KeySource;
  /** For people. */
  readonly name: string;
}

/** Throws a `Failure`: no URL, or one that holds a secret. */
export function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new Failure('usage', 'URL_INVALID', 'the URL of a depot begins with http:// or https://');
  if (url.username !== '' || url.password !== '')
    throw new Failure('usage', 'URL_INVALID', 'the URL of a depot holds no user and no password');
  return url.href.replace(/\/+$/, '');
}

const ofProfile = (name: string, profile: Profile | undefined): ChosenDepot => {
  if (!profile) throw new Failure('usage', 'PROFILE_UNKNOWN', `there is no profile ${name}: \`khumbu profiles\``);
  const key: KeySource =
    profile.key !== undefined
      ? { kind: 'text', text: profile.key }
      : profile.keyFile !== undefined
        ? { kind: 'file', path: profile.keyFile }
        : { kind: 'none' };
  return { url: checkedUrl(profile.url), key, name };
};

function placeOf(flags: DepotFlags, settings: CliSettings, profiles: () => Profiles): ChosenDepot {
  if (flags.url !== undefined && flags.profile !== undefined)
    throw new Failure('usage', 'USAGE', '--url and --profile exclude each other');
  if (flags.url !== undefined) {
    const url = checkedUrl(flags.url);
    return { url, key: { kind: 'none' }, name: url };
  }
  if (flags.profile !== undefined) return ofProfile(flags.profile, profiles().profiles[flags.profile]);
  if (settings.KHUMBU_URL !== undefined) {
    const url = checkedUrl(settings.KHUMBU_URL);
    return { url, key: { kind: 'none' }, name: url };
  }
  const name = settings.KHUMBU_PROFILE ?? profiles().default;
  if (name !== undefined) return ofProfile(name, profiles().profiles[name]);
  if (settings.HTTP_PORT === 0)
    throw new Failure('usage', 'URL_UNKNOWN', 'HTTP_PORT is 0, so nobody knows which port it is: give --url');
  const url = `http://127.0.0.1:${settings.HTTP_PORT}`;
  return { url, key: { kind: 'run', path: join(settings.DATA_DIR, 'api-key') }, name: url };
}

/**
 * The URL: of `--url`, `--profile`, KHUMBU_URL, KHUMBU_PROFILE, the default profile, else of this machine. The key: of
 * `--key-stdin`, `--key-file`, else of the place itself, else KHUMBU_KEY. So the key of a profile goes nowhere but to its URL, and
 * the key of a run nowhere but to this machine. `profiles` is called where they matter. Throws a `Failure`.
 */
export function chooseDepot(flags: DepotFlags, settings: CliSettings, profiles: () => Profiles): ChosenDepot {
  const place = placeOf(flags, settings, profiles);
  if (flags.keyStdin && flags.keyFile !== undefined)
    throw new Failure('usage', 'USAGE', '--key-stdin and --key-file exclude each other');
  if (flags.keyStdin) return { ...place, key: { kind: 'stdin' } };
  if (flags.keyFile !== undefined) return { ...place, key: { kind: 'file', path: flags.keyFile } };
  const isOpen = place.key.kind === 'none' || place.key.kind === 'run';
  if (isOpen && settings.KHUMBU_KEY !== undefined)
    return { ...place, key: { kind: 'text', text: settings.KHUMBU_KEY } };
  return place;
}
