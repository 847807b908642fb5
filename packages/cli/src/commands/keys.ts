/** `khumbu keys`: who may call REST. The file has hashes alone; a gateway follows it. */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { type ApiKeysFile, isKeyName, readApiKeys, SCOPES, type Scope } from '@khumbu/rest-contract/api-keys-file';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { buildCommand, buildRouteMap } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import { keyFrom } from '../depot/open-depot.js';
import { table } from '../output/shown.js';
import { JSON_FLAG, text } from './flags.js';

interface FileFlags extends OutputFlags {
  readonly file?: string;
}
const FILE_FLAGS = {
  ...JSON_FLAG,
  file: {
    kind: 'parsed',
    parse: text,
    optional: true,
    placeholder: 'file',
    brief: 'The file of keys; API_KEYS_FILE if not given',
  },
} as const;

interface Known {
  readonly path: string;
  readonly keys: ApiKeysFile;
}

function known({ env }: CliContext, { file }: FileFlags): Known {
  const path = file ?? env.API_KEYS_FILE;
  if (path === undefined || path === '') throw usage('--file or API_KEYS_FILE names the file of keys');
  try {
    return { path, keys: readApiKeys(readFileSync(path)) };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { path, keys: [] };
    throw usage(`${path}: ${describeError(error)}`);
  }
}

/** Whole or not at all, for whom it was there before: the gateway may be another user. */
function store({ path }: Known, keys: ApiKeysFile): void {
  let file = path;
  let mode = 0o600;
  const owner = { uid: -1, gid: -1 };
  try {
    file = realpathSync(path);
    const before = statSync(file);
    mode = before.mode & 0o777;
    Object.assign(owner, { uid: before.uid, gid: before.gid });
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw usage(`${path}: ${describeError(error)}`);
  }
  const next = `${file}.${process.pid}.new`;
  try {
    writeFileSync(next, `${JSON.stringify(keys, undefined, 2)}\n`, { mode: 0o600 });
    if (owner.uid >= 0) chownSync(next, owner.uid, owner.gid);
    chmodSync(next, mode);
    renameSync(next, file);
  } catch (error) {
    throw usage(`${path} cannot be written: ${describeError(error)}`);
  }
}

const list = buildCommand<FileFlags, readonly [], CliContext>({
  docs: { brief: 'Show who may call REST' },
  parameters: { flags: FILE_FLAGS },
  func: acting(async (context, flags) => {
    const { keys } = known(context, flags);
    if (flags.json) return context.terminal.json(keys.map(({ name, scopes }) => ({ name, scopes })));
    const rows = keys.map(({ name, scopes, sha256 }) => [name, scopes.join(', '), sha256.slice(0, 8)]);
    context.terminal.print(table(['NAME', 'SCOPES', 'SHA-256'], rows));
  }),
});

interface AddFlags extends FileFlags {
  readonly scope: Scope;
  readonly output?: string;
  readonly keyStdin: boolean;
}

/** The file is new, and of its owner alone. */
function writeKey(path: string, key: string): void {
  try {
    writeFileSync(path, `${key}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw usage(`${path} cannot be written: ${describeError(error)}`);
  }
}

const add = buildCommand<AddFlags, readonly [string], CliContext>({
  docs: {
    brief: 'Make a key',
    fullDescription:
      'It is printed once and stands nowhere afterwards: the file gets its hash. --output writes it into a new file of its owner alone. A running gateway takes it within seconds.',
  },
  parameters: {
    flags: {
      ...FILE_FLAGS,
      scope: { kind: 'enum', values: SCOPES, default: 'read', brief: 'What it may' },
      output: { kind: 'parsed', parse: text, optional: true, placeholder: 'file', brief: 'Where the key is written' },
      keyStdin: { kind: 'boolean', default: false, brief: 'A key that is there already, from stdin' },
    },
    positional: { kind: 'tuple', parameters: [{ brief: 'Who has it', placeholder: 'name', parse: text }] },
  },
  func: acting(async (context, flags, name) => {
    const { terminal } = context;
    const before = known(context, flags);
    if (before.keys.some((key) => key.name === name)) throw usage(`there is a key ${name}: \`khumbu keys remove\``);
    if (!isKeyName(name)) throw usage('a name is not blank, and does not begin with jwt: or oidc:');
    const key = flags.keyStdin
      ? keyFrom(await terminal.line('API key: ', true))
      : `khumbu_${randomBytes(24).toString('base64url')}`;
    const sha256 = createHash('sha256').update(key).digest('hex');
    if (before.keys.some((other) => other.sha256 === sha256)) throw usage('this key is there under another name');
    if (flags.output !== undefined && !flags.keyStdin) writeKey(flags.output, key);
    store(before, [...before.keys, { name, sha256, scopes: [flags.scope] }]);
    const shown = flags.keyStdin || flags.output !== undefined ? {} : { key };
    if (flags.json) terminal.json({ name, scope: flags.scope, ...shown });
    else if ('key' in shown) terminal.print(key);
    terminal.say(`${name} is in ${before.path}`);
  }),
});

const remove = buildCommand<FileFlags, readonly [string], CliContext>({
  docs: {
    brief: 'Withdraw a key',
    fullDescription: 'A running gateway refuses it within seconds, and ends its sessions.',
  },
  parameters: {
    flags: FILE_FLAGS,
    positional: { kind: 'tuple', parameters: [{ brief: 'Who has it', placeholder: 'name', parse: text }] },
  },
  func: acting(async (context, flags, name) => {
    const before = known(context, flags);
    const left = before.keys.filter((key) => key.name !== name);
    if (left.length === before.keys.length) throw usage(`there is no key ${name} in ${before.path}`);
    store(before, left);
    context.terminal.say(`${name} is not in ${before.path} any more`);
  }),
});

export const keys = buildRouteMap({
  docs: { brief: 'API keys: make, show, withdraw' },
  routes: { list, add, remove },
});
