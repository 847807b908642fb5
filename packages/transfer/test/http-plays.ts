/** The faults of http and https but for statuses, each with a server that has it. */
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { makeAuthority, selfSigned } from '@khumbu/test-support/certificates';
import { startOrigin } from '@khumbu/test-support/origin';
import { rawServer } from '@khumbu/test-support/raw-server';
import type { Test } from 'tap';
import type { Labels } from '../src/labels.js';
import type { TransferContext } from '../src/port.js';
import { codingToRemove, removeCoding } from '../src/transport-coding.js';
import { type Play, policyOfNames, rules, says } from './play.js';

type Asked = Play | (() => Promise<unknown>);
type Plays = Readonly<Record<string, Asked>>;

/** What becomes of a file that came with these labels. */
const decoding = (path: string, bytes: Buffer, labels: Labels) => async (): Promise<void> => {
  await writeFile(path, bytes);
  const file = await open(path);
  try {
    const { signal } = new AbortController();
    const coded = { file, sizeBytes: bytes.length, begin: bytes.subarray(0, 1000), labels, signal };
    const coding = await codingToRemove(coded);
    if (coding) await removeCoding(coded, coding, () => undefined);
  } finally {
    await file.close();
  }
};

async function certificates(t: Test): Promise<Plays> {
  const dir = t.testdir({});
  const authority = await makeAuthority(dir);
  const ca = authority.certificatePem;
  const at = async (name: string, more: object): Promise<string> => {
    const { keyPem, certificatePem } = await authority.issue({ name, subjectAltName: 'IP:127.0.0.1', ...more });
    const port = await rawServer(t, says('HTTP/1.1 200 OK', 'content-length: 0'), {
      key: keyPem,
      cert: certificatePem,
    });
    return `https://127.0.0.1:${port}/x`;
  };
  const plain = await startOrigin();
  t.teardown(() => plain.close());
  const own = await selfSigned(join(dir, 'own'), 'old', { extensions: ['subjectAltName=IP:127.0.0.1'] });
  const old = { key: own.keyPem, cert: own.certificatePem, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' } as const;
  const ciphers = 'DEFAULT:@SECLEVEL=0';
  const oldPort = await rawServer(t, says('HTTP/1.1 200 OK'), { ...old, ciphers });
  const day = 86_400_000;
  const past = { notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) };
  return {
    'The certificate is of an authority that is not trusted, or of none.': { location: await at('unknown', {}) },
    'The certificate has expired, or is not valid yet.': { location: await at('expired', past), context: { ca } },
    'The certificate is of another name.': {
      location: await at('other', { subjectAltName: 'DNS:other.example' }),
      context: { ca },
    },
    'The port speaks no TLS.': { location: `https://127.0.0.1:${plain.port}/x` },
    'No version of TLS, or no cipher, that both sides know.': {
      location: `https://127.0.0.1:${oldPort}/x`,
      context: { ca: own.certificatePem },
    },
  };
}

async function answers(t: Test): Promise<Plays> {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const at = (path: string): Play => ({ location: `${origin.url}${path}` });
  const raw = async (...lines: string[]): Promise<Play> => ({
    location: `http://127.0.0.1:${await rawServer(t, says(...lines))}/x`,
  });
  const image = Buffer.alloc(200_000, 'x');
  origin.serve('/stalled', image, { stallAfterBytes: 1000 });
  origin.receive('/stalled', { stallAfterBytes: 0 });
  const gone = await rawServer(t, (socket) => socket.destroy());
  origin.serve('/cut', image, { cutAfterBytes: 1000 });
  origin.receive('/cut', { cutAfterBytes: 1000 });
  origin.serve('/again', image, { redirect: '/again' });
  origin.serve('/nowhere', image, { redirect: 'http://[nowhere' });
  origin.serve('/forbidden', image, { redirect: 'http://169.254.169.254/latest' });
  origin.serve('/bucket', image, { redirect: 's3://bucket/key' });
  const file = join(t.testdir({}), 'file');
  return {
    'Nothing comes for the stall limit: while connecting, before the answer, or in its body.': {
      ...at('/stalled'),
      context: { stallMs: 300 },
    },
    'The connection ends before an answer.': { location: `http://127.0.0.1:${gone}/x` },
    'The connection ends in the body.': at('/cut'),
    'What answers does not speak HTTP.': await raw('220 depot FTP server ready'),
    'The head of the answer is longer than 256 KiB.': await raw('HTTP/1.1 200 OK', `x: ${'x'.repeat(300_000)}`),
    'The protocol is switched, unasked.': await raw(
      'HTTP/1.1 101 Switching Protocols',
      'upgrade: x',
      'connection: upgrade',
    ),
    'The chunks of the body are not framed as they must be.': await raw(
      'HTTP/1.1 200 OK',
      'transfer-encoding: chunked',
      '',
      'zz',
    ),
    'A range comes that nobody asked for.': await raw('HTTP/1.1 206 Partial', 'content-range: bytes 5-9/10'),
    'The content comes compressed, unasked, and cannot be decoded.': decoding(
      `${file}.1`,
      gzipSync(image).subarray(0, 100),
      { coding: 'gzip' },
    ),
    'The content is the frames of an upload to S3 (`aws-chunked`).': decoding(
      `${file}.2`,
      Buffer.from(`4;chunk-signature=${'a'.repeat(64)}\r\nabcd\r\n`),
      { awsChunked: true },
    ),
    'The content comes in a transfer coding besides `chunked`.': await raw(
      'HTTP/1.1 200 OK',
      'transfer-encoding: gzip, chunked',
    ),
    'More than five redirects.': at('/again'),
    'A redirect leads to what is no address.': at('/nowhere'),
    'A redirect leads to where no location may lead.': at('/forbidden'),
    'A redirect leads to a scheme that is not fetched over HTTP.': at('/bucket'),
  };
}

async function proxies(t: Test): Promise<Plays> {
  const by = async (status: number): Promise<Play> => {
    const port = await rawServer(t, says(`HTTP/1.1 ${status} Said`, 'content-length: 0'));
    return through(port);
  };
  const through = (port: number): Play => {
    const proxy = { origin: `http://127.0.0.1:${port}`, host: '127.0.0.1', port, isTls: false };
    const context: Partial<TransferContext> = {
      proxy: { https: proxy, http: proxy, except: [], allowsUnresolved: true },
    };
    return { location: 'https://198.51.100.7/x', context };
  };
  return {
    'The forward proxy cannot be reached, or breaks off before it has made a tunnel.': through(1),
    'The forward proxy answers 407.': await by(407),
    'The forward proxy makes no tunnel by its own rules: 401 or 403.': await by(403),
    'The forward proxy is busy: 408, 425, 429.': await by(429),
    'The forward proxy answers 404.': await by(404),
    'The forward proxy makes no tunnels: 405.': await by(405),
    'The forward proxy knows no tunnels: 501, 505.': await by(501),
    'The forward proxy refuses for another reason (4xx).': await by(418),
    'The forward proxy cannot reach the server (5xx).': await by(502),
  };
}

const LOCATIONS: Plays = {
  'The location cannot be read, or its scheme is not known.': { location: 'gopher://depot.example/x' },
  'The scheme is not in `ALLOWED_LOCATION_SCHEMES`.': {
    location: 'http://depot.example/x',
    context: { policy: createLocationPolicy({ ...rules, allowedSchemes: ['https'] }) },
  },
  'The host is not in `ALLOWED_LOCATION_HOSTS`.': {
    location: 'http://depot.example/x',
    context: { policy: createLocationPolicy({ ...rules, allowedHosts: ['*.vendor.example'] }) },
  },
  'The host is an address that no location may lead to: loopback, link-local, metadata, one of the depot itself.': {
    location: 'http://169.254.169.254/x',
  },
  'The name of the host leads only to such addresses.': {
    location: 'http://depot.example/x',
    context: { policy: policyOfNames('169.254.169.254') },
  },
  'The name of the host does not exist, or no name server answers.': {
    location: 'http://depot.example/x',
    context: { policy: policyOfNames('ENOTFOUND') },
  },
  'The port is closed.': { location: 'http://127.0.0.1:1/x' },
  // What a socket fails with: which addresses have no route is another on each machine.
  'There is no route to the host, or no packet comes back.': {
    location: 'http://depot.example/x',
    context: { policy: policyOfNames('EHOSTUNREACH') },
  },
};

export async function httpPlays(t: Test): Promise<Plays> {
  return { ...LOCATIONS, ...(await certificates(t)), ...(await answers(t)), ...(await proxies(t)) };
}
