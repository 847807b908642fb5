/** The depot that is meant, ready to be asked. */
import { existsSync, readFileSync } from 'node:fs';
import { createKhumbuClient, type KhumbuClient } from '@khumbu/client/client';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { CliContext } from '../context.js';
import { Failure } from '../failure.js';
import { CLI_SETTINGS, type CliSettings } from '../settings.js';
import { type ChosenDepot, chooseDepot, type DepotFlags, type KeySource } from './choose-depot.js';
import { profilesPath, readProfiles } from './profiles.js';

export interface Depot {
  readonly url: string;
  readonly name: string;
  readonly client: KhumbuClient;
  readonly settings: CliSettings;
  /** A request that is no JSON: signed, not repeated, not followed where it leads. Without a limit of time for its body. */
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>;
}

/** RFC 6750, 2.1: what goes behind `Bearer`. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

export function keyFrom(text: string): string {
  const key = text.trim();
  if (!TOKEN.test(key)) throw new Failure('usage', 'KEY_INVALID', 'the key is empty, or has characters no key has');
  return key;
}

export function keyOfFile(path: string): string {
  try {
    return keyFrom(readFileSync(path, 'utf8'));
  } catch (error) {
    const why = error instanceof Failure ? error.message : describeError(error);
    throw new Failure('usage', 'KEY_INVALID', `${path}: ${why}`);
  }
}

export async function keyOf(source: KeySource, { terminal }: CliContext): Promise<string | undefined> {
  switch (source.kind) {
    case 'stdin':
      return keyFrom(await terminal.line('API key: ', true));
    case 'file':
      return keyOfFile(source.path);
    case 'text':
      return keyFrom(source.text);
    case 'run':
      return existsSync(source.path) ? keyOfFile(source.path) : undefined;
    case 'none':
      return undefined;
  }
}

const isOnThisMachine = (url: string): boolean => /^\[::1\]$|^127\.|^localhost$/.test(new URL(url).hostname);

export const settingsOf = ({ env }: CliContext): CliSettings => loadConfig(CLI_SETTINGS, env);

/** Which depot is meant. Throws a `Failure`. */
export function chosenDepot(context: CliContext, flags: DepotFlags): ChosenDepot {
  const settings = settingsOf(context);
  return chooseDepot(flags, settings, () => readProfiles(profilesPath(settings, context.env)));
}

/** Rejects with a `Failure` where settings, profiles or the key are not right. Nothing is asked of the depot. */
export async function openDepot(context: CliContext, flags: DepotFlags): Promise<Depot> {
  const settings = settingsOf(context);
  const { url, name, key: source } = chosenDepot(context, flags);
  const key = await keyOf(source, context);
  if (key !== undefined && url.startsWith('http://') && !isOnThisMachine(url))
    context.terminal.say(`khumbu: warning: the key goes to ${url} without encryption`);

  /** `limitMs`: until the headers of the answer. */
  const send = async (request: Request, limitMs: number | undefined): Promise<Response> => {
    const late = new AbortController();
    const timer =
      limitMs === undefined
        ? undefined
        : setTimeout(() => late.abort(new DOMException(`not within ${limitMs / 1000} s`, 'TimeoutError')), limitMs);
    const signal = AbortSignal.any([request.signal, context.signal, late.signal]);
    try {
      // Who is led elsewhere would take the key, or an order, there.
      return await fetch(request, { signal, redirect: 'manual' });
    } finally {
      clearTimeout(timer);
    }
  };
  const client = createKhumbuClient({
    baseUrl: url,
    key: () => key,
    retryForMs: settings.KHUMBU_RETRY_S * 1000,
    fetch: (request) => send(request, settings.KHUMBU_TIMEOUT_S * 1000),
  });
  return {
    url,
    name,
    client,
    settings,
    fetch: (path, init = {}) => {
      const request = new Request(`${url}${path}`, { duplex: 'half', ...init } as RequestInit);
      if (key !== undefined) request.headers.set('authorization', `Bearer ${key}`);
      return send(request, init.body ? undefined : settings.KHUMBU_TIMEOUT_S * 1000);
    },
  };
}
