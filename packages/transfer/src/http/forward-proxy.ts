/**
 * Which http and https locations are reached through a forward proxy, by settings and by the variables that curl, wget
 * and most programs follow. Pure. A location is judged by the location policy all the same, before it is looked for here.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { normalAddress } from '@khumbu/shared/locations/address';
import type { Credentials } from '@khumbu/shared/locations/location';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { type Static, type TObject, Type } from 'typebox';

const variable = (description: string) => Type.Optional(Type.String({ description }));

export const PROXY_SETTINGS = {
  LOCATION_PROXY: variable(
    'URL of the forward proxy for http and https locations, with user and password if it wants them; none: no proxy. Unset: HTTP_PROXY and HTTPS_PROXY count.',
  ),
  HTTP_PROXY: variable('URL of the forward proxy for http locations.'),
  http_proxy: variable('As HTTP_PROXY, and goes before it.'),
  HTTPS_PROXY: variable('URL of the forward proxy for https locations.'),
  https_proxy: variable('As HTTPS_PROXY, and goes before it.'),
  NO_PROXY: variable(
    'Hosts that are reached without the proxy, by commas: host (and all below it), .suffix, address, CIDR, each with :port if wanted; *: all.',
  ),
  no_proxy: variable('As NO_PROXY, and goes before it.'),
  ALLOW_NAMES_ONLY_PROXY_RESOLVES: Type.Boolean({
    default: true,
    description:
      'true: a host name that the depot cannot resolve is left to the proxy. false: it is refused, because its address cannot be judged.',
  }),
} as const;

type ProxyName = Exclude<keyof typeof PROXY_SETTINGS, 'ALLOW_NAMES_ONLY_PROXY_RESOLVES'>;
type ProxySettings = Readonly<Static<TObject<typeof PROXY_SETTINGS>>>;

/** Plain values: they go from thread to thread as they are. */
export interface ProxyRules {
  readonly http?: ForwardProxy;
  readonly https?: ForwardProxy;
  readonly except: readonly Exception[];
  readonly allowsUnresolved: boolean;
}

export interface ForwardProxy {
  /** Without credentials. */
  readonly origin: string;
  readonly host: string;
  readonly port: number;
  /** The way to the proxy itself is TLS. */
  readonly isTls: boolean;
  readonly credentials?: Credentials;
}

type Exception =
  | { readonly kind: 'all' }
  | { readonly kind: 'name'; readonly name: string; readonly port?: number }
  | { readonly kind: 'addresses'; readonly address: string; readonly prefixBits: number; readonly port?: number };

/** Throws `CONFIG_INVALID` that names the setting and not its value. */
function readProxy(name: string, text: string): ForwardProxy {
  const bad = (): CodedError =>
    new CodedError('CONFIG_INVALID', `${name} is no http:// or https:// URL of a proxy, as http://proxy.example:3128`);
  const written = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(written)) throw bad();
  const url = new URL(written);
  const isTls = url.protocol === 'https:';
  if (!(isTls || url.protocol === 'http:') || url.hostname === '') throw bad();
  let credentials: Credentials;
  try {
    credentials = { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  } catch (error) {
    if (error instanceof URIError) throw bad();
    throw error;
  }
  return {
    origin: url.origin,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    isTls,
    ...(credentials.username === '' && credentials.password === '' ? {} : { credentials }),
  };
}

/** `10.*` and `169.254/16`, as desktops write them, as a CIDR block; any other text as it is. */
function wholeBlock(text: string): string {
  const [, begin, bits] = /^((?:\d{1,3}\.){0,2}\d{1,3})(?:(?:\.\*)+|\/(\d{1,2}))$/.exec(text) ?? [];
  if (begin === undefined) return text;
  const given = begin.split('.');
  return `${[...given, '0', '0', '0'].slice(0, 4).join('.')}/${bits ?? given.length * 8}`;
}

/** One entry of NO_PROXY; `undefined`: it cannot be read. */
function readException(entry: string): Exception | undefined {
  if (entry === '*') return { kind: 'all' };
  const text = wholeBlock(entry);
  const isBareIPv6 = isIPv6(text.split('/', 1)[0] ?? '');
  const match = isBareIPv6 ? undefined : /^(.*?)(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[2] === undefined ? {} : { port: Number(match[2]) };
  const [host = '', bits] = (match?.[1] ?? text).replace(/^\[([^\]]*)\]/, '$1').split('/', 2);
  const family = isIP(host);
  if (family !== 0) {
    const most = family === 4 ? 32 : 128;
    const prefixBits = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    return prefixBits <= most ? { kind: 'addresses', address: host, prefixBits, ...port } : undefined;
  }
  const written = host.replace(/^\*?\./, '').replace(/\.$/, '');
  if (bits !== undefined || !/^[\p{L}\p{N}._-]+$/u.test(written)) return undefined;
  // As hosts stand in a location: in lower case, and as ASCII.
  const name = domainToASCII(written);
  return name === '' ? undefined : { kind: 'name', name, ...port };
}

const entriesOf = (text: string): string[] => text.split(/[\s,]+/).filter((entry) => entry !== '');

/** Throws `CONFIG_INVALID` for a proxy or an exception that cannot be read; messages repeat no value. */
export function proxyRules(settings: ProxySettings): ProxyRules {
  const isNone = settings.LOCATION_PROXY?.toLowerCase() === 'none';
  const first = (...names: ProxyName[]): ForwardProxy | undefined => {
    // Compose files and units give what is not set as an empty text.
    const name = isNone ? undefined : names.find((one) => settings[one]);
    return name && readProxy(name, settings[name] ?? '');
  };
  const rest = { allowsUnresolved: settings.ALLOW_NAMES_ONLY_PROXY_RESOLVES };
  const http = first('LOCATION_PROXY', 'http_proxy', 'HTTP_PROXY');
  const https = first('LOCATION_PROXY', 'https_proxy', 'HTTPS_PROXY');
  // Without a proxy the value is not used, so it may be anything.
  if (!http && !https) return { ...rest, except: [] };
  const name = settings.no_proxy ? 'no_proxy' : 'NO_PROXY';
  const except = entriesOf(settings[name] ?? '').map((text, at) => {
    const read = readException(text);
    if (!read) throw new CodedError('CONFIG_INVALID', `${name}: entry ${at + 1} is no host, .suffix, address or CIDR`);
    return read;
  });
  return { ...rest, except, ...(http ? { http } : {}), ...(https ? { https } : {}) };
}

function excepts(exception: Exception, host: string, port: number): boolean {
  if (exception.kind === 'all') return true;
  if (exception.port !== undefined && exception.port !== port) return false;
  const family = isIP(host);
  if (exception.kind === 'name')
    return family === 0 && (host === exception.name || host.endsWith(`.${exception.name}`));
  if (family === 0) return false;
  const block = new BlockList();
  block.addSubnet(exception.address, exception.prefixBits, isIPv6(exception.address) ? 'ipv6' : 'ipv4');
  return block.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** The proxy for a location; `undefined`: it is reached directly. */
export function chooseProxy(rules: ProxyRules | undefined, url: URL): ForwardProxy | undefined {
  const proxy = url.protocol === 'https:' ? rules?.https : rules?.http;
  if (!rules || !proxy) return undefined;
  const bare = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const host = isIP(bare) === 0 ? bare.toLowerCase() : normalAddress(bare);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return rules.except.some((exception) => excepts(exception, host, port)) ? undefined : proxy;
}
