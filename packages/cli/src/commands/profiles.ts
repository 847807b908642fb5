/** `khumbu profiles`: depots by name. */
import { resolve } from 'node:path';
import { buildCommand, buildRouteMap } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import { checkedUrl } from '../depot/choose-depot.js';
import { keyFrom, keyOfFile, settingsOf } from '../depot/open-depot.js';
import { type Profile, profilesPath, readProfiles, writeProfiles } from '../depot/profiles.js';
import { table } from '../output/shown.js';
import { JSON_FLAG, proposeProfiles, text } from './flags.js';

const pathOf = (context: CliContext): string => profilesPath(settingsOf(context), context.env);
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

const keyIn = ({ key, keyFile }: Profile): string => (key === undefined ? (keyFile ?? 'none') : 'in the profile');

const list = buildCommand<OutputFlags, readonly [], CliContext>({
  docs: { brief: 'Show all profiles, without their keys' },
  parameters: { flags: JSON_FLAG },
  func: acting(async (context, { json }) => {
    const { profiles, default: standard } = readProfiles(pathOf(context));
    const all = Object.entries(profiles).map(([name, profile]) => ({
      name,
      url: profile.url,
      key: keyIn(profile),
      default: name === standard,
    }));
    if (json) return context.terminal.json(all);
    const rows = all.map((one) => [one.name, one.url, one.key, one.default ? 'default' : '']);
    context.terminal.print(table(['NAME', 'URL', 'KEY', ''], rows));
  }),
});

interface AddFlags extends OutputFlags {
  readonly url: string;
  readonly keyFile?: string;
  readonly keyStdin: boolean;
  readonly default: boolean;
}

async function profileOf({ terminal }: CliContext, { url, keyFile, keyStdin }: AddFlags): Promise<Profile> {
  if (keyStdin && keyFile !== undefined) throw usage('--key-stdin and --key-file exclude each other');
  const place = { url: checkedUrl(url) };
  if (keyStdin) return { ...place, key: keyFrom(await terminal.line('API key: ', true)) };
  if (keyFile === undefined) return place;
  // Read now, so that a slip shows now; and each time, so that it may be renewed.
  keyOfFile(keyFile);
  return { ...place, keyFile: resolve(keyFile) };
}

const add = buildCommand<AddFlags, readonly [string], CliContext>({
  docs: {
    brief: 'Write a profile, or replace it',
    fullDescription:
      'The first one becomes the default. The key stands in the file of profiles, or in a file it names.',
  },
  parameters: {
    flags: {
      ...JSON_FLAG,
      url: { kind: 'parsed', parse: text, placeholder: 'url', brief: 'A gateway of the depot, without path' },
      keyFile: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'file',
        brief: 'The key is read from this file, each time',
      },
      keyStdin: { kind: 'boolean', default: false, brief: 'The key comes from stdin, and is kept in the profile' },
      default: { kind: 'boolean', default: false, brief: 'It is used where nothing else is said' },
    },
    positional: { kind: 'tuple', parameters: [{ brief: 'Its name', placeholder: 'name', parse: text }] },
  },
  func: acting(async (context, flags, name) => {
    if (!NAME.test(name)) throw usage('a name has letters, digits, dots, dashes and underscores');
    const path = pathOf(context);
    const before = readProfiles(path);
    const profile = await profileOf(context, flags);
    const isDefault = flags.default || before.default === undefined;
    writeProfiles(path, {
      ...before,
      ...(isDefault ? { default: name } : {}),
      profiles: { ...before.profiles, [name]: profile },
    });
    if (flags.json) context.terminal.json({ name, url: profile.url, key: keyIn(profile), default: isDefault });
    else context.terminal.say(`${name} is in ${path}`);
  }),
});

const KNOWN = {
  brief: 'Its name',
  placeholder: 'name',
  parse: text,
  proposeCompletions(this: CliContext, partial: string) {
    return proposeProfiles(this, partial);
  },
};

const remove = buildCommand<OutputFlags, readonly [string], CliContext>({
  docs: { brief: 'Remove a profile' },
  parameters: { flags: JSON_FLAG, positional: { kind: 'tuple', parameters: [KNOWN] } },
  func: acting(async (context, _flags, name) => {
    const path = pathOf(context);
    const { default: standard, profiles } = readProfiles(path);
    const { [name]: removed, ...left } = profiles;
    if (!removed) throw usage(`there is no profile ${name}`);
    const isKept = standard !== undefined && standard !== name;
    writeProfiles(path, { ...(isKept ? { default: standard } : {}), profiles: left });
  }),
});

const use = buildCommand<OutputFlags, readonly [string], CliContext>({
  docs: { brief: 'Make a profile the default' },
  parameters: { flags: JSON_FLAG, positional: { kind: 'tuple', parameters: [KNOWN] } },
  func: acting(async (context, _flags, name) => {
    const path = pathOf(context);
    const before = readProfiles(path);
    if (!before.profiles[name]) throw usage(`there is no profile ${name}`);
    writeProfiles(path, { ...before, default: name });
  }),
});

export const profiles = buildRouteMap({
  docs: { brief: 'Depots by name: url and key, for --profile' },
  routes: { list, add, remove, use },
});
