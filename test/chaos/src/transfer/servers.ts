/** What downloads meet, for each scheme: servers that cut, stall and lie, by name. Pure. */
import type { Behaviour } from '@khumbu/test-support/origin';
import type { FtpScript } from '@khumbu/test-support/scripted-ftp';
import type { SftpScript } from '@khumbu/test-support/scripted-sftp';

/** `atBytes`: where it happens, from 1 to the size of the file. `nowMs`: as the clock shows. */
type Make<B> = (atBytes: number, nowMs: number) => B;
type Table<B> = Readonly<Record<string, Make<B>>>;

export const HTTP_SERVERS: Table<Behaviour> = {
  'a cut': (at) => ({ cutAfterBytes: at }),
  'another cut': (at) => ({ cutAfterBytes: at }),
  'a cut without validators': (at) => ({ cutAfterBytes: at, etag: 'none', lastModified: false }),
  'a cut by date alone': (at) => ({ cutAfterBytes: at, etag: 'none' }),
  'a cut with one ETag for everything': (at) => ({ cutAfterBytes: at, etag: '"one"' }),
  'one ETag for everything': () => ({ etag: '"one"' }),
  'a stall': (at) => ({ stallAfterBytes: at - 1 }),
  'no answer': () => ({ noAnswer: true }),
  'an overload': () => ({ status: 503 }),
  'no ranges': () => ({ ranges: false }),
  'weak ETags': () => ({ etag: 'weak' }),
  'no length': () => ({ contentLength: false }),
  'another range': () => ({ lie: 'later' }),
  'all of it as a part': () => ({ lie: 'from_zero' }),
  'bytes from elsewhere': () => ({ lie: 'elsewhere' }),
  'a part of whatever it has': () => ({ ignoresIfRange: true, etag: 'none', lastModified: false }),
  'no Content-Range': () => ({ lie: 'unsaid' }),
  'another total': () => ({ lie: 'other_total' }),
  'no total': () => ({ lie: 'no_total' }),
  'a portion': () => ({ lie: 'portion' }),
  'a coding nobody asked for': () => ({ headers: { 'content-encoding': 'gzip' } }),
};

const says = (command: string, reply: string): FtpScript => ({
  answer: (got) => (got === command ? reply : undefined),
});
/** YYYYMMDDHHMMSS of RFC 3659, 2.3. */
export const mdtmOf = (ms: number): string => new Date(ms).toISOString().replace(/\D/g, '').slice(0, 14);

export const FTP_SERVERS: Table<FtpScript> = {
  'a cut': (at) => ({ cutAt: at }),
  'another cut': (at) => ({ cutAt: at }),
  'a cut without times': (at) => ({ cutAt: at, ...says('MDTM', '502 no') }),
  'a cut of what was just written': (at, nowMs) => ({ cutAt: at, ...says('MDTM', `213 ${mdtmOf(nowMs)}`) }),
  'an end too soon': (at) => ({ endsAt: at - 1 }),
  'a stall': (at) => ({ stallAt: at - 1 }),
  'no greeting': () => ({ greeting: '' }),
  'an overload': () => ({ greeting: '421 too many users' }),
  'REST ignored': () => ({ ignoresRest: true }),
  'REST unknown': () => says('REST', '502 not implemented'),
  'no restart': () => says('REST', '451 restart not possible'),
  'another place': (at) => ({ skew: at }),
  'another time': () => says('MDTM', '213 20210102030405'),
  'another size': (at) => says('SIZE', `213 ${10_000_000 + at}`),
  'no size': () => says('SIZE', '502 not implemented'),
  'a size at another time': () => says('SIZE', '450 busy'),
  'bytes behind the end': (at) => ({ surplus: Buffer.alloc(at) }),
  'no last reply but a refusal': () => ({ lastReply: '451 local error' }),
};

export const SFTP_SERVERS: Table<SftpScript> = {
  'a cut': (at) => ({ cutAt: at }),
  'another cut': (at) => ({ cutAt: at }),
  'a cut of what was just written': (at, nowMs) => ({ cutAt: at, modifiedMs: nowMs }),
  'a stall': (at) => ({ stallAt: at - 1 }),
  'no greeting': () => ({ noGreeting: true }),
  'an error while reading': (at) => ({ failsAt: at }),
  'little at a time': (at) => ({ most: 10_000 + (at % 50_000) }),
  'another time': () => ({ modifiedMs: 1_500_000_000_000 }),
  'another size': (at) => ({ sizeOff: at }),
  'a file that grows': () => ({ grows: true }),
};

export const SERVERS = {
  http: HTTP_SERVERS,
  s3: HTTP_SERVERS,
  ftp: FTP_SERVERS,
  sftp: SFTP_SERVERS,
} satisfies Record<string, Table<unknown>>;
export type Scheme = keyof typeof SERVERS;
